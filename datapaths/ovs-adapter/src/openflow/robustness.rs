//! What a switch could send wrongly must not do more than to end the connection: whatever arrives, cut off
//! anywhere or changed, is refused or read, and nothing panics.

use super::wire::{HEADER, Reader};
use super::{decode, oxm, packet, port, refusal, rule, tlv};
use crate::flow::PortNumber;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::time::Duration;

/// One rule of a reply to `OFPMP_FLOW`.
fn flow_stats() -> Vec<u8> {
    let rule = super::recorded::rich_rule();
    let len = (48 + rule.len()) as u16;
    let mut stats = [0; 48];
    stats[..2].copy_from_slice(&len.to_be_bytes());
    [&stats[..], &rule].concat()
}

/// `NXT_PACKET_IN2` of ovs-vswitchd 3.1.0, from the properties on.
const PACKET_IN: &str =
    "0000002e02000000000102000000000208004500001c0000000040110000010203040506070800010002
    000800000000000300050000000000040010000000000000000000000077000500050100000000060048
    80000004fffffffe80004c08000000000000007b00013e04010203050001400401020304
    0001500cac1f0001000000000000ab01000102040000000500014204000000070007000701020300";

fn read_all(bytes: &[u8]) {
    let reader = || Reader(bytes);
    let _ = decode::read_actions(reader());
    let _ = oxm::read_fields(reader());
    let _ = oxm::read_match(&mut reader());
    let _ = packet::read(reader());
    let _ = port::read(reader(), &mut Vec::new());
    let _ = refusal::read(reader());
    let _ = rule::read_aggregate(reader());
    let _ = rule::read_change(reader());
    let _ = rule::read_rules(reader(), &mut Vec::new());
    let _ = tlv::read(reader());
}

#[test]
fn nothing_panics() {
    let packet_in = super::recorded::bytes(PACKET_IN);
    let rules = flow_stats();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for message in [&packet_in, &rules, &rules[48..].to_vec()] {
        for len in 0..=message.len() {
            read_all(&message[..len]);
            read_all(&message[len..]);
        }
        for _ in 0..20_000 {
            let mut changed = message.clone();
            for _ in 0..3 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = random as usize % changed.len();
                changed[at] = (random >> 32) as u8;
            }
            read_all(&changed);
        }
    }
}

#[test]
fn a_rule_is_read_and_its_prefixes_are_not() {
    let message = flow_stats();
    let mut rules = Vec::new();
    rule::read_rules(Reader(&message), &mut rules).unwrap();
    assert_eq!((rules.len(), rules[0].undecoded), (1, 0));
    assert_eq!(rules[0].rule.actions.len(), 3);
    for len in 1..message.len() {
        let read = rule::read_rules(Reader(&message[..len]), &mut Vec::new());
        assert!(read.is_none(), "{len}");
    }
}

#[test]
fn a_packet_is_read() {
    let packet = packet::read(Reader(&super::recorded::bytes(PACKET_IN))).unwrap();
    assert_eq!(packet.frame.len(), 42);
    assert_eq!(packet.userdata, [1, 2, 3]);
    assert_eq!(packet.cookie.0, 0x77);
    assert_eq!(
        packet.metadata.to_string(),
        "in_port=0xfffffffe,reg1=0x5,pkt_mark=0x7,tun_id=0x7b,tun_src=0x1020305,tun_dst=0x1020304,\
         tun_metadata0=0xac1f0001000000000000ab01"
    );
}

/// What a connection makes of a switch that answers with these bytes.
fn connect(answer: &[u8]) -> Result<Option<super::PacketIn>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            use std::io::{Read, Write};
            let (mut client, _) = listener.accept().unwrap();
            client.write_all(answer).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        });
        let mut connection = super::Connection::open(&path).map_err(|error| error.to_string())?;
        let packet = connection.packet_in(Duration::from_secs(60));
        packet.map_err(|error| error.to_string())
    })
}

#[test]
fn a_strange_switch_is_told() {
    const HELLO: [u8; 8] = [6, 0, 0, 8, 0, 0, 0, 1];
    const BARRIER: [u8; 8] = [5, 21, 0, 8, 0, 0, 0, 2];
    let old = [4, 0, 0, 8, 0, 0, 0, 1];
    let bitmap = [6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x10];
    for refused in [&old[..], &bitmap, &[5, 1, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0]] {
        let said = connect(refused).unwrap_err();
        assert!(said.contains("does not offer OpenFlow 1.4"), "{said}");
    }
    assert!(connect(&[]).unwrap_err().contains("closed"));
    assert!(connect(&HELLO[..5]).unwrap_err().contains("closed"));
    let short = [5, 0, 0, 7, 0, 0, 0, 0];
    assert!(connect(&short).unwrap_err().contains("shorter"));
    // An error for the message that is waited for.
    let error = [5, 1, 0, 12, 0, 0, 0, 2, 0, 1, 0, 5];
    let said = connect(&[&HELLO[..], &error].concat()).unwrap_err();
    assert!(said.contains("OFPBRC_EPERM"), "{said}");
    // A message that nobody knows, an echo, and a packet.
    let properties = super::recorded::bytes(PACKET_IN);
    let len = (16 + properties.len()) as u16;
    let [high, low] = len.to_be_bytes();
    let packet_in = [5, 4, high, low, 0, 0, 0, 2, 0, 0, 0x23, 0x20, 0, 0, 0, 30];
    let strange = [5, 99, 0, 9, 0, 0, 0, 0, 1];
    let echo = [5, 2, 0, 9, 0, 0, 0, 0, 1];
    let all = [
        &HELLO[..],
        &packet_in,
        &properties,
        &strange,
        &echo,
        &BARRIER,
    ];
    let packet = connect(&all.concat()).unwrap().unwrap();
    assert_eq!(packet.userdata, [1, 2, 3]);
}

/// What a switch that agrees on OpenFlow 1.4 says: hello, and that all before the second message is done.
const AGREED: [u8; 16] = [6, 0, 0, 8, 0, 0, 0, 1, 5, 21, 0, 8, 0, 0, 0, 2];
/// How much it is told until then: a hello with a bitmap of versions, and a barrier.
const TOLD: usize = 24;

/// That all before this message is done.
const fn done(xid: u8) -> [u8; 8] {
    [5, 21, 0, 8, 0, 0, 0, xid]
}

/// A connection to a switch that agrees each time that somebody connects, says that all before message `xid` is done,
/// and closes the connection once it was told the number of bytes that `told` has for that time. Says when it did.
fn left_idle(xid: u8, told: &'static [usize]) -> (super::Connection, mpsc::Receiver<()>) {
    use std::io::{Read, Write};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bridge");
    let listener = UnixListener::bind(&path).unwrap();
    let (sender, closed) = mpsc::channel();
    std::thread::spawn(move || {
        let _folder = folder;
        for len in told {
            let (mut client, _) = listener.accept().unwrap();
            client.write_all(&AGREED).unwrap();
            client.write_all(&done(xid)).unwrap();
            client.read_exact(&mut vec![0; *len]).unwrap();
            drop(client);
            if sender.send(()).is_err() {
                break;
            }
        }
    });
    (super::Connection::open(&path).unwrap(), closed)
}

#[test]
fn a_connection_that_was_closed_while_idle_is_opened_again() {
    let (mut connection, closed) = left_idle(3, &[TOLD, TOLD + HEADER]);
    closed.recv().unwrap();
    connection.barrier().unwrap();
    closed.recv().unwrap();
}

#[test]
fn what_was_not_answered_when_a_connection_was_closed_is_not_forgotten() {
    let (mut connection, closed) = left_idle(4, &[TOLD + HEADER]);
    connection
        .packet_out(PortNumber::LOCAL, &[0; 60], &[])
        .unwrap();
    connection.flush().unwrap();
    closed.recv().unwrap();
    let said = connection.barrier().unwrap_err().to_string();
    assert!(said.contains("Broken pipe"), "{said}");
}

#[test]
fn a_connection_for_packets_is_not_opened_again() {
    // A format for packets, which of them, and how long they may be come before the barrier.
    let (mut connection, closed) = left_idle(6, &[TOLD + HEADER]);
    connection.want_packet_ins().unwrap();
    closed.recv().unwrap();
    let said = connection.barrier().unwrap_err().to_string();
    assert!(said.contains("Broken pipe"), "{said}");
}
