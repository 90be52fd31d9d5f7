//! The BPF programs on single frames, by test runs of the kernel.

use aya::maps::{MapData, RingBuf};
use aya::programs::{TestRun, TestRunOptions};
use datapath_ovs_ebpf::notation::{Action, Match, actions, matches};
use datapath_ovs_ebpf::object::{self, Hook};
use datapath_ovs_ebpf::table::{CAPACITY, FlowTable};
use libtest_mimic::{Arguments, Failed, Trial};
use megaflow::map::{MASKS, Port, Upcall, WAITING};
use mizar_wire::geneve::ENCAPSULATION_LEN;
use std::time::{Duration, Instant};
use zerocopy::FromBytes;

/// The device that a test run takes for the one a frame came by, and its port.
const LOOPBACK: u32 = 1;
const PORT: u32 = 7;
/// Where frames leave, and the tunnel.
const OUT: u32 = 9;

fn main() {
    let arguments = Arguments::from_args();
    // SAFETY: has no preconditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    let is_ready = is_root && object::bytes().is_some();
    if !is_ready {
        eprintln!("ignored: needs root and a BPF toolchain; cargo xtask test");
    }
    type Test = fn(Hook) -> Result<(), Failed>;
    let tests: [(&str, Test); 11] = [
        ("a_flow_is_followed_and_counted", followed),
        ("a_packet_without_a_flow_is_handed_over_whole", missed),
        ("outer_headers_are_put_in_front", encapsulated),
        ("outer_headers_are_taken_off", decapsulated),
        (
            "a_packet_of_a_tunnel_without_a_flow_is_handed_over_as_it_came",
            missed_inside,
        ),
        (
            "a_flow_that_is_deleted_or_replaced_is_followed_no_more",
            replaced,
        ),
        ("each_mask_is_tried_and_there_are_so_many", masks),
        (
            "so_many_wait_for_an_answer_and_others_are_counted_as_lost",
            storm,
        ),
        ("a_flow_is_judged_anew_by_one_packet", renewed),
        ("a_packet_is_sent_twice_or_the_flow_is_refused", copied),
        ("a_full_table_lets_go_of_what_was_not_used", full),
    ];
    let trials = tests.into_iter().flat_map(|(name, test)| {
        [("tc", Hook::Tc), ("xdp", Hook::Xdp)].map(|(of, hook)| {
            Trial::test(format!("{name}_at_{of}"), move || test(hook)).with_ignored_flag(!is_ready)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Sent(Vec<u8>),
    Dropped,
}

struct Bench {
    hook: Hook,
    table: FlowTable,
    ebpf: aya::Ebpf,
    ports: datapath_ovs_ebpf::mapped::Mapped<Port>,
    upcalls: RingBuf<MapData>,
}

impl Bench {
    fn new(hook: Hook) -> Result<Self, Failed> {
        let (table, mut ebpf, mut ports) = FlowTable::new(object::load(hook)?);
        bpf_load::fill(&ebpf, "PORT_OF", [(LOOPBACK, PORT + 1)].into_iter())?;
        for port in [PORT, OUT] {
            let device = Port {
                device: LOOPBACK,
                reserved: 0,
                upcalls: 0,
                answered: 0,
                lost: 0,
            };
            ports.write(port, device);
            bpf_load::fill(&ebpf, "DEVICE", [(port, [LOOPBACK, 0])].into_iter())?;
        }
        let upcalls = ebpf.take_map("UPCALL").ok_or("there is no ring")?;
        Ok(Self {
            hook,
            table,
            ebpf,
            ports,
            upcalls: RingBuf::try_from(upcalls)?,
        })
    }

    fn enter(&mut self, asks: &str, does: &str) -> Result<(), Failed> {
        self.table.enter(&matches(asks)?, &actions(does)?, None)?;
        Ok(())
    }

    fn run(&mut self, frame: &[u8]) -> Result<Became, Failed> {
        let mut output = vec![0; 4096];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ..TestRunOptions::default()
        };
        let (result, sent, dropped) = match self.hook {
            // `TC_ACT_REDIRECT` and `TC_ACT_SHOT` of include/uapi/linux/pkt_cls.h.
            Hook::Tc => {
                let program = bpf_load::classifier(&mut self.ebpf, "ovs_tc")?;
                (program.test_run(options)?, 7, 2)
            }
            // `XDP_REDIRECT` and `XDP_DROP` of include/uapi/linux/bpf.h.
            Hook::Xdp => {
                let program = bpf_load::program(&mut self.ebpf, "ovs_xdp")?;
                (program.test_run(options)?, 4, 1)
            }
        };
        output.truncate(result.data_size_out as usize);
        match result.return_value {
            action if action == sent => Ok(Became::Sent(output)),
            action if action == dropped => Ok(Became::Dropped),
            other => Err(format!("unexpected action {other}").into()),
        }
    }

    /// The upcalls that wait, with their frames.
    fn upcalls(&mut self) -> Result<Vec<(Upcall, Vec<u8>)>, Failed> {
        let mut all = Vec::new();
        while let Some(record) = self.upcalls.next() {
            let (upcall, frame) =
                Upcall::read_from_prefix(&record).map_err(|_| "a record is too short")?;
            all.push((upcall, frame[..upcall.len as usize].to_vec()));
        }
        Ok(all)
    }
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A UDP packet of `len` bytes.
fn packet(last: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0,
        0, 1, 10, 0, 0, last, 0x13, 0x89, 0x13, 0x89, 0, 0, 0, 0,
    ];
    frame.resize(len, 0x5a);
    frame[16..18].copy_from_slice(&(len as u16 - 14).to_be_bytes());
    frame[38..40].copy_from_slice(&(len as u16 - 34).to_be_bytes());
    mend(&mut frame, 14);
    frame
}

/// Makes the checksum of the IPv4 header at a byte right.
fn mend(frame: &mut [u8], at: usize) {
    frame[at + 10..at + 12].fill(0);
    let pairs = frame[at..at + 20].chunks(2);
    let sum = pairs.map(|pair| u64::from(u16::from_ne_bytes([pair[0], pair[1]])));
    let sum = mizar_wire::checksum::fold(sum.sum());
    frame[at + 10..at + 12].copy_from_slice(&sum.to_ne_bytes());
}

const PLAIN: &str = "recirc_id(0),in_port(7),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)";
const PUSH: &str = "tnl_push(tnl_port(5),header(size=114,type=5,eth(dst=02:00:ac:10:00:01,src=02:00:ac:10:00:02,dl_type=0x0800),ipv4(src=172.16.0.2,dst=172.16.0.1,proto=17,tos=0,ttl=64,frag=0x0),udp(src=0,dst=6081,csum=0x0),geneve(vni=0x7b,options({class=0x1101,type=0x48,len=12,0xac1000010200ac10000100}{class=0x1101,type=0x49,len=28,0}{class=0x1101,type=0x50,len=4,0x7}{class=0x1101,type=0x51,len=4,0x9}))),out_port(2)),9";

fn followed(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    bench.enter(PLAIN, "9")?;
    let frames = [packet(2, 60), packet(3, 1514), packet(2, 60)];
    for frame in &frames {
        check(
            bench.run(frame)? == Became::Sent(frame.clone()),
            "it is sent as it is",
        )?;
    }
    let [entry] = bench
        .table
        .entries()
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "one flow")?;
    check(entry.packets == 3, "three packets are counted")?;
    check(entry.bytes == 60 + 1514 + 60, "and their bytes")?;
    check(
        entry
            .idle
            .is_some_and(|idle| idle < Duration::from_secs(60)),
        "and when",
    )?;
    check(
        entry.does == [Action::Output(9)],
        "the entry says what it does",
    )?;
    // One that drops.
    bench.enter(PLAIN, "drop")?;
    check(bench.run(&frames[0])? == Became::Dropped, "it is dropped")?;
    check(bench.upcalls()?.is_empty(), "nobody was asked")
}

fn missed(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    let frames = [
        packet(2, 60),
        packet(3, 256),
        packet(4, 257),
        packet(5, 1514),
    ];
    for frame in &frames {
        check(bench.run(frame)? == Became::Dropped, "it does not go on")?;
    }
    let upcalls = bench.upcalls()?;
    check(upcalls.len() == frames.len(), "each is handed over")?;
    for ((upcall, frame), sent) in upcalls.iter().zip(&frames) {
        check(frame == sent, "byte for byte")?;
        check(
            upcall.port == PORT && upcall.key.in_port == PORT,
            "with its port",
        )?;
        check(
            upcall.key.ip_dst.octets() == [10, 0, 0, sent[33]],
            "with its key",
        )?;
    }
    let port = bench.ports.read(PORT).ok_or("there is no port")?;
    check((port.upcalls, port.lost) == (4, 0), "and counted")
}

/// What [`PUSH`] puts in front of a frame; the source port is taken from what was sent.
fn expected(inner: &[u8], sent: &[u8]) -> Result<Vec<u8>, Failed> {
    let does = actions(PUSH)?;
    let [Action::Push(header), _] = does.as_slice() else {
        return Err("no outer headers".into());
    };
    let mut frame = [header, inner].concat();
    let total = frame.len() as u16 - 14;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[38..40].copy_from_slice(&(total - 20).to_be_bytes());
    mend(&mut frame, 14);
    frame[34..36].copy_from_slice(sent.get(34..36).ok_or("too short")?);
    Ok(frame)
}

fn encapsulated(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    bench.enter(PLAIN, PUSH)?;
    for frame in [packet(2, 60), packet(3, 61), packet(4, 1450)] {
        let Became::Sent(sent) = bench.run(&frame)? else {
            return Err("it is not sent".into());
        };
        check(
            sent == expected(&frame, &sent)?,
            "outer headers are in front",
        )?;
        let source = u16::from_be_bytes([sent[34], sent[35]]);
        check(
            (32_768..61_000).contains(&source),
            "with a switch's source port",
        )?;
    }
    Ok(())
}

const OUTER: &str = "recirc_id(0),in_port(7),packet_type(ns=0,id=0),eth(dst=02:00:ac:10:00:01),eth_type(0x0800),ipv4(dst=172.16.0.1,proto=17,frag=no),udp(dst=6081)";
const INNER: &str = "tunnel(tun_id=0x7b,src=172.16.0.2,dst=172.16.0.1,geneve({class=0x1101,type=0x48,len=12,0xac1000010200ac10000100/0xffffffffffffffffffff00}{class=0x1101,type=0x49,len=28}{class=0x1101,type=0x50,len=4}{class=0x1101,type=0x51,len=4,0x9}),flags(-df-csum+key)),recirc_id(0),in_port(4),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(dst=10.0.0.2,frag=no)";

/// A packet that came by a tunnel.
fn arrived(inner: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut frame = expected(inner, &[0; 60])?;
    check(
        frame.len() == ENCAPSULATION_LEN + inner.len(),
        "as long as it should be",
    )?;
    frame[34..36].copy_from_slice(&40_000u16.to_be_bytes());
    Ok(frame)
}

fn decapsulated(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    bench.enter(OUTER, "tnl_pop(4)")?;
    bench.enter(INNER, "set(eth(dst=02:00:00:00:00:77)),set(ipv4(ttl=63)),9")?;
    for len in [60, 61, 1450] {
        let inner = packet(2, len);
        let mut wanted = inner.clone();
        wanted[5] = 0x77;
        wanted[22] = 63;
        mend(&mut wanted, 14);
        let became = bench.run(&arrived(&inner)?)?;
        check(
            became == Became::Sent(wanted),
            "the inner frame is sent, changed",
        )?;
    }
    check(bench.upcalls()?.is_empty(), "nobody is asked")?;
    // Of a damaged outer header nothing is believed.
    let mut damaged = arrived(&packet(2, 60))?;
    damaged[24] ^= 1;
    check(bench.run(&damaged)? == Became::Dropped, "it does not go on")?;
    let upcalls = bench.upcalls()?;
    let [(upcall, handed)] = upcalls.as_slice() else {
        return Err("it is not handed over".into());
    };
    check(handed == &damaged, "as it came")?;
    check(upcall.key.vni == 0, "without what it says")
}

fn missed_inside(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    bench.enter(OUTER, "tnl_pop(4)")?;
    bench.enter(INNER, "9")?;
    // Another destination, and another label.
    let mut labelled = arrived(&packet(2, 60))?;
    labelled[ENCAPSULATION_LEN - 1] ^= 1;
    for frame in [arrived(&packet(3, 60))?, labelled] {
        check(bench.run(&frame)? == Became::Dropped, "it does not go on")?;
        let upcalls = bench.upcalls()?;
        let [(upcall, handed)] = upcalls.as_slice() else {
            return Err("it is not handed over".into());
        };
        check(handed == &frame, "as it came")?;
        check(
            (upcall.port, upcall.key.in_port) == (PORT, 4),
            "as one of the tunnel",
        )?;
        check(upcall.key.vni == 0x7b, "with what its outer headers say")?;
    }
    Ok(())
}

fn replaced(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    let frame = packet(2, 60);
    let sent = |dst: u8| {
        let mut frame = frame.clone();
        frame[5] = dst;
        Became::Sent(frame)
    };
    let before: Match = matches(PLAIN)?;
    for dst in [3, 4, 5] {
        bench.enter(PLAIN, &format!("set(eth(dst=02:00:00:00:00:{dst:02x})),9"))?;
        // The second finds it in the cache of whole keys.
        for _ in 0..2 {
            check(
                bench.run(&frame)? == sent(dst),
                "the newest flow is followed",
            )?;
        }
        check(bench.table.len() == 1, "there is one flow")?;
    }
    check(bench.table.delete(&before)?, "it was there")?;
    check(!bench.table.delete(&before)?, "and is no more")?;
    check(bench.table.masks() == 0, "nor is its mask")?;
    check(bench.run(&frame)? == Became::Dropped, "no flow is followed")?;
    check(bench.upcalls()?.len() == 1, "and somebody is asked")
}

fn masks(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    // Each asks for other bits of an address that no packet has, but the last.
    for number in 1..MASKS {
        let asks = format!(
            "recirc_id(0),in_port(7),eth_type(0x0800),ipv4(src=0.0.0.{number}/0.0.0.{number},dst=10.9.9.9,frag=no)"
        );
        bench.enter(&asks, "drop")?;
    }
    bench.enter(PLAIN, "9")?;
    check(
        bench.table.masks() == MASKS as usize,
        "there are as many masks as may be",
    )?;
    let frame = packet(2, 60);
    check(
        bench.run(&frame)? == Became::Sent(frame.clone()),
        "the last mask finds it",
    )?;
    let other = "recirc_id(0),in_port(7),eth_type(0x0800),ipv4(dst=10.0.0.2,frag=no)";
    let refused = bench.enter(other, "9");
    check(refused.is_err(), "one more is refused")?;
    bench.table.sort_masks();
    let frame = packet(9, 60);
    check(
        bench.run(&frame)? == Became::Sent(frame.clone()),
        "in any order",
    )
}

fn storm(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    let frame = packet(2, 60);
    let beyond = 5;
    for _ in 0..WAITING + beyond {
        check(bench.run(&frame)? == Became::Dropped, "it does not go on")?;
    }
    let port = bench.ports.read(PORT).ok_or("there is no port")?;
    check(
        (port.upcalls, port.lost) == (WAITING, beyond),
        "those beyond are lost",
    )?;
    check(
        bench.upcalls()?.len() as u64 == WAITING,
        "the others are handed over",
    )?;
    // Once they are answered there is room again.
    bench.ports.write(
        PORT,
        Port {
            answered: WAITING,
            ..port
        },
    );
    bench.run(&frame)?;
    check(bench.upcalls()?.len() == 1, "another one is handed over")
}

fn renewed(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    let frame = packet(2, 60);
    let (asks, does) = (matches(PLAIN)?, actions("9")?);
    bench
        .table
        .enter(&asks, &does, Some(Duration::from_secs(3600)))?;
    check(
        bench.run(&frame)? == Became::Sent(frame.clone()),
        "it is young",
    )?;
    bench.table.enter(&asks, &does, Some(Duration::ZERO))?;
    check(bench.run(&frame)? == Became::Dropped, "it is old")?;
    check(bench.upcalls()?.len() == 1, "one packet is handed over")?;
    check(
        bench.run(&frame)? == Became::Sent(frame.clone()),
        "the next goes on",
    )?;
    // One that was judged anew is young again for as long as before.
    let interval = Duration::from_secs(4);
    bench.table.enter(&asks, &does, Some(interval))?;
    std::thread::sleep(interval + Duration::from_millis(100));
    let began = Instant::now();
    check(bench.run(&frame)? == Became::Dropped, "it is old again")?;
    std::thread::sleep(Duration::from_millis(1_200));
    let became = bench.run(&frame)?;
    // Where the machine slept for longer nothing is known.
    let is_known = began.elapsed() < interval;
    check(
        !is_known || became == Became::Sent(frame),
        "and young after a second",
    )
}

fn copied(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    let entered = bench.enter(PLAIN, "9,9");
    let frame = packet(2, 60);
    match hook {
        // What cannot be done is refused, and stays with who is asked.
        Hook::Xdp => {
            check(entered.is_err(), "there are no copies at XDP")?;
            check(bench.run(&frame)? == Became::Dropped, "it is handed over")?;
            check(bench.upcalls()?.len() == 1, "it is handed over")
        }
        Hook::Tc => {
            entered?;
            check(
                bench.run(&frame)? == Became::Sent(frame.clone()),
                "it is sent twice",
            )
        }
    }
}

fn full(hook: Hook) -> Result<(), Failed> {
    let mut bench = Bench::new(hook)?;
    // The oldest is the only one with its mask.
    let by_source =
        |last: u8| format!("in_port(7),eth_type(0x0800),ipv4(src=10.0.0.{last},frag=no)");
    bench.enter(&by_source(200), "drop")?;
    let by_destination = |number: u32| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0002 + number);
        format!("in_port(7),eth_type(0x0800),ipv4(dst={address},frag=no)")
    };
    for number in 0..CAPACITY - 1 {
        bench.enter(&by_destination(number), "9")?;
    }
    check(
        bench.table.len() == CAPACITY as usize,
        "there are as many as may be",
    )?;
    check(bench.table.evicted() == 0, "none had to go")?;
    // The second oldest is used.
    let used = packet(2, 60);
    check(
        bench.run(&used)? == Became::Sent(used.clone()),
        "it is followed",
    )?;
    // Packets from 10.0.0.1 to somewhere else.
    bench.enter(&by_source(1), "set(eth(dst=02:00:00:00:00:77)),9")?;
    check(bench.table.evicted() == 1, "one had to go")?;
    check(bench.table.len() == CAPACITY as usize, "and no more")?;
    check(bench.table.masks() == 2, "both masks are in use")?;
    let mut other = packet(2, 60);
    other[30..34].copy_from_slice(&[192, 168, 0, 1]);
    mend(&mut other, 14);
    let mut changed = other.clone();
    changed[5] = 0x77;
    check(
        bench.run(&other)? == Became::Sent(changed),
        "the new one is followed",
    )?;
    let is_there = bench
        .table
        .entries()
        .any(|entry| entry.packets == 1 && entry.does == [Action::Output(9)]);
    check(is_there, "and the one that was used is there")
}
