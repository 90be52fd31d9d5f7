//! What ovs-ofctl 3.1.0 writes for flows: the bodies of its flow mods in OpenFlow 1.4, from a socket on the way to
//! the switch. The TLV table had 12, 12, 28, 4 and 4 bytes.

use super::rule::{Change, put_change, read_change};
use super::wire::Reader;
use crate::flow::{
    Action, Cookie, Ct, Field, Learn, LearnSource, LearnSpec, Match, Multipath, PortNumber,
    Priority, Rule, Source, Table, Value, ct_state, fragment,
};

/// Every field.
pub fn all_fields() -> Vec<Field> {
    let mut fields = vec![
        Field::InPort,
        Field::PacketMark,
        Field::CtState,
        Field::CtMark,
        Field::TunnelId,
        Field::TunnelSrc,
        Field::TunnelDst,
        Field::EthDst,
        Field::EthSrc,
        Field::EthType,
        Field::IpProto,
        Field::IpDscp,
        Field::IpTtl,
        Field::IpFragment,
        Field::IpSrc,
        Field::IpDst,
        Field::TcpSrc,
        Field::TcpDst,
        Field::UdpSrc,
        Field::UdpDst,
        Field::ArpOperation,
        Field::ArpSenderIp,
        Field::ArpTargetIp,
        Field::ArpSenderMac,
        Field::ArpTargetMac,
    ];
    fields.extend((0..16).map(Field::Register));
    fields.extend((0..8).map(Field::Wide));
    fields.extend((0..5).map(Field::Option));
    fields
}

/// What is written in hexadecimal digits.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The start of a flow mod that has neither cookie nor timeouts, and ovs-ofctl's usual priority.
const PLAIN: &str =
    "0000000000000000 0000000000000000 0000 0000 0000 8000 ffffffff ffffffff ffffffff
    0000 0000";
/// The match of all packets.
const ANY: &str = "0001 0004 00000000";
/// The match of `ip`.
const IP: &str = "0001 000a 80000a02 0800 000000000000";

/// Match and instructions of a rule with an option that learns, tracks connections and tells the controller.
pub fn rich_rule() -> Vec<u8> {
    bytes(
        "0001 0014 0001500c ac1f0001000000000000ab01 00000000 0004 00a0 00000000
         ffff 0058 00002320 0010 000a 0014 0064 0000000000000099 0000 05 00 0000 0000
         2010 0007 00010004 0000  0820 0001507c 0038 00014004 0000
         2820 00012345 00010404 0000  0020 00010804 0000 00010804 0000  000000000000
         ffff 0028 00002320 0023 0001 00010604 000f 06 000000 0000 0019 0010 0001d604 00000009 00000000
         ffff 0018 00002320 0025 000000000000 0003 0007 010203 00",
    )
}

fn rule(matches: Match, actions: Vec<Action>) -> Change {
    Change::Add(Rule {
        table: Table(0),
        priority: Priority(0x8000),
        cookie: Cookie(0),
        idle_timeout: 0,
        hard_timeout: 0,
        matches,
        actions,
    })
}

fn ip() -> Match {
    Match::all().with(Field::EthType, 0x800u16)
}

/// Whether a change is written, and read, as ovs-ofctl writes it.
fn check(change: &Change, hex: &str) {
    let recorded = bytes(hex);
    check_read(change, hex);
    let mut written = Vec::new();
    put_change(&mut written, change);
    assert_eq!(written, recorded, "{change}\n{written:02x?}");
}

/// The same where ovs-ofctl has another order of fields, or other names for them.
fn check_read(change: &Change, hex: &str) {
    assert_eq!(read_change(Reader(&bytes(hex))).as_ref(), Some(change));
    let mut written = Vec::new();
    put_change(&mut written, change);
    assert_eq!(read_change(Reader(&written)).as_ref(), Some(change));
}

#[test]
fn metadata() {
    let state = Value::from(ct_state::TRACKED | ct_state::ESTABLISHED);
    // ovs-ofctl, and a switch, write a wide register as the two that it consists of: here it was xreg3.
    let matches = Match::all()
        .with(Field::InPort, 7u32)
        .with(Field::Register(0), 1u32)
        .with_slice(Field::Register(5).slice(4, 4), 1u32)
        .with(Field::Register(6), 0x1122_3344u32)
        .with(Field::Register(7), 0x5566_7788u32)
        .with(Field::PacketMark, 5u32)
        .with_masked(Field::CtState, state, state)
        .with(Field::CtMark, 9u32)
        .with(Field::TunnelId, 0x7bu64)
        .with(Field::TunnelSrc, 0xac1f_0001u32)
        .with(Field::TunnelDst, 0xac1f_0003u32);
    // cookie=0x1122334455667788,table=3,priority=1000,idle_timeout=5,hard_timeout=7,in_port=7,reg0=0x1,
    // reg5=0x10/0xf0,xreg3=0x1122334455667788,pkt_mark=0x5,ct_state=+trk+est,ct_mark=0x9,tun_id=0x7b,
    // tun_src=172.31.0.1,tun_dst=172.31.0.3,actions=output:3
    let mut change = rule(matches, vec![Action::Output(PortNumber(3))]);
    if let Change::Add(rule) = &mut change {
        rule.table = Table(3);
        rule.priority = Priority(1000);
        rule.cookie = Cookie(0x1122_3344_5566_7788);
        rule.idle_timeout = 5;
        rule.hard_timeout = 7;
    }
    check_read(
        &change,
        "1122334455667788 0000000000000000 03 00 0005 0007 03e8 ffffffff ffffffff ffffffff 0000 0000
         0001 0068 80000004 00000007 80004c08 000000000000007b 00013e04 ac1f0001 00014004 ac1f0003
         00010004 00000001 00010b08 00000010 000000f0 00010c04 11223344 00010e04 55667788
         00014204 00000005 0001d308 00000022 00000022 0001d604 00000009
         0004 0018 00000000 0000 0010 00000003 0000 000000000000",
    );
}

#[test]
fn ports() {
    // in_port=LOCAL,actions=output:IN_PORT,output:LOCAL
    let matches = Match::all().with(Field::InPort, PortNumber::LOCAL.0);
    let out = [PortNumber::IN_PORT, PortNumber::LOCAL].map(Action::Output);
    check_read(
        &rule(matches, out.to_vec()),
        &format!(
            "{PLAIN} 0001 000c 80000004 fffffffe 00000000
             0004 0028 00000000 0000 0010 fffffff8 0000 000000000000 0000 0010 fffffffe 0000 000000000000"
        ),
    );
}

#[test]
fn options() {
    // tun_metadata0=0xac1f0001000000000000ab01,actions=drop
    let value = Value::from(0xac1f_0001_0000_0000_0000_ab01u128);
    check(
        &rule(Match::all().with(Field::Option(0), value), vec![]),
        &format!("{PLAIN} 0001 0014 0001500c ac1f0001000000000000ab01 00000000"),
    );
    // tun_metadata1,actions=drop
    check(
        &rule(Match::all().with_present(Field::Option(1)), vec![]),
        &format!("{PLAIN} 0001 0008 00015300"),
    );
    // ip,tun_metadata3=0x1/0xff,nw_ttl=64,nw_tos=8,ip_frag=no,nw_src=10.0.0.0/8,nw_dst=10.0.0.2,actions=drop
    let matches = ip()
        .with_slice(Field::Option(3).slice(0, 8), 1u32)
        .with(Field::IpTtl, 64u32)
        .with(Field::IpDscp, 2u32)
        .with(Field::IpFragment, 0u32)
        .with_slice(Field::IpSrc.slice(24, 8), 10u32)
        .with(Field::IpDst, 0x0a00_0002u32);
    check_read(
        &rule(matches, vec![]),
        &format!(
            "{PLAIN} 0001 0033 80000a02 0800 80001708 0a000000 ff000000 80001804 0a000002 00013401 00
             80001001 02 00013a01 40 00015702 01 ff 0000000000"
        ),
    );
}

#[test]
fn packets() {
    // tcp,dl_dst=02:00:00:00:00:01,dl_src=02:00:00:00:00:02/ff:ff:ff:00:00:00,tp_src=1,tp_dst=80,actions=drop
    let matches = ip()
        .with(Field::EthDst, 0x0200_0000_0001u64)
        .with_slice(Field::EthSrc.slice(24, 24), 0x02_0000u32)
        .with(Field::IpProto, 6u32)
        .with(Field::TcpSrc, 1u32)
        .with(Field::TcpDst, 80u32);
    check_read(
        &rule(matches, vec![]),
        &format!(
            "{PLAIN} 0001 0035 8000090c 020000000000 ffffff000000 80000606 020000000001 80000a02 0800
             80001401 06 80001a02 0001 80001c02 0050 000000"
        ),
    );
    // udp,ip_frag=later,tp_src=1,tp_dst=0x100/0xff00,actions=drop
    let matches = ip()
        .with(Field::IpFragment, fragment::ANY | fragment::LATER)
        .with(Field::IpProto, 17u32)
        .with(Field::UdpSrc, 1u32)
        .with_slice(Field::UdpDst.slice(8, 8), 1u32);
    check_read(
        &rule(matches, vec![]),
        &format!(
            "{PLAIN} 0001 0022 80000a02 0800 00013401 03 80001401 11 80001e02 0001
             80002104 0100 ff00 000000000000"
        ),
    );
    // arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=02:00:00:00:00:01,arp_tha=02:00:00:00:00:02,
    // actions=drop
    let matches = Match::all()
        .with(Field::EthType, 0x806u32)
        .with(Field::ArpOperation, 1u32)
        .with(Field::ArpSenderIp, 0x0a00_0001u32)
        .with(Field::ArpTargetIp, 0x0a00_0002u32)
        .with(Field::ArpSenderMac, 0x0200_0000_0001u64)
        .with(Field::ArpTargetMac, 0x0200_0000_0002u64);
    check(
        &rule(matches, vec![]),
        &format!(
            "{PLAIN} 0001 0034 80000a02 0806 80002a02 0001 80002c04 0a000001 80002e04 0a000002
             80003006 020000000001 80003206 020000000002 00000000"
        ),
    );
}

#[test]
fn sets() {
    // actions=set_field:0x5->reg1,set_field:0x7b->tun_id,set_field:0xac1f0001000000000000ab01->tun_metadata0,
    // set_field:1.2.3.4->tun_dst,set_field:7->pkt_mark
    let actions = vec![
        Action::set(Field::Register(1), 5u32),
        Action::set(Field::TunnelId, 0x7bu32),
        Action::set(Field::Option(0), 0xac1f_0001_0000_0000_0000_ab01u128),
        Action::set(Field::TunnelDst, 0x0102_0304u32),
        Action::set(Field::PacketMark, 7u32),
    ];
    check(
        &rule(Match::all(), actions),
        &format!(
            "{PLAIN} {ANY} 0004 0060 00000000 0019 0010 00010204 00000005 00000000
             0019 0010 80004c08 000000000000007b 0019 0018 0001500c ac1f0001000000000000ab01 00000000
             0019 0010 00014004 01020304 00000000 0019 0010 00014204 00000007 00000000"
        ),
    );
    // actions=load:0x3->NXM_NX_REG1[4..7],load:0x5->NXM_OF_IN_PORT[],load:0x12->OXM_OF_PKT_REG1[32..63]
    let load = |to, value: u32| Action::Set {
        to,
        value: value.into(),
    };
    let actions = vec![
        load(Field::Register(1).slice(4, 4), 3),
        Action::set(Field::InPort, 5u32),
        load(Field::Wide(1).slice(32, 32), 0x12),
    ];
    check(
        &rule(Match::all(), actions),
        &format!(
            "{PLAIN} {ANY} 0004 0050 00000000
             ffff 0018 00002320 0007 0103 00010204 0000000000000003
             ffff 0018 00002320 0007 000f 00000002 0000000000000005
             ffff 0018 00002320 0007 081f 80010208 0000000000000012"
        ),
    );
    // actions=load:0xac1f0003->tun_metadata0[56..87],set_field:0x1/0xff->tun_metadata3
    //
    // ovs-ofctl leaves out leading zeros of options.
    let actions = vec![
        load(Field::Option(0).slice(56, 32), 0xac1f_0003),
        load(Field::Option(3).slice(0, 8), 1),
    ];
    check_read(
        &rule(Match::all(), actions),
        &format!(
            "{PLAIN} {ANY} 0004 0040 00000000
             ffff 0028 00002320 0021 000151 16 ac1f000300000000000000 ffffffff00000000000000 00000000
             ffff 0010 00002320 0021 000157 02 01 ff"
        ),
    );
}

#[test]
fn moves() {
    // actions=move:tun_metadata0[56..87]->tun_dst,move:reg0->xreg1[0..31],move:in_port->reg3[0..15],resubmit(,4),
    // delete_field:tun_metadata3
    let actions = vec![
        Action::Move {
            from: Field::Option(0).slice(56, 32),
            to: Field::TunnelDst.whole(),
        },
        Action::Move {
            from: Field::Register(0).whole(),
            to: Field::Wide(1).slice(0, 32),
        },
        Action::Move {
            from: Field::InPort.slice(0, 16),
            to: Field::Register(3).slice(0, 16),
        },
        Action::Resubmit(Table(4)),
        Action::Delete(Field::Option(3)),
    ];
    check(
        &rule(Match::all(), actions),
        &format!(
            "{PLAIN} {ANY} 0004 0078 00000000
             ffff 0018 00002320 0006 0020 0038 0000 0001507c 00014004
             ffff 0018 00002320 0006 0020 0000 0000 00010004 80010208
             ffff 0018 00002320 0006 0010 0000 0000 00000002 00010604
             ffff 0010 00002320 000e fff8 04 000000
             ffff 0018 00002320 0032 0001567c 00000000000000000000"
        ),
    );
}

#[test]
fn learning() {
    // actions=learn(table=5,priority=100,cookie=0x99,idle_timeout=10,hard_timeout=20,reg0[0..15]=0x7,
    // load:tun_metadata0[56..87]->tun_dst,load:0x12345->reg2,NXM_NX_REG4[])
    let learn = Learn {
        table: Table(5),
        priority: Priority(100),
        cookie: Cookie(0x99),
        idle_timeout: 10,
        hard_timeout: 20,
        specs: vec![
            LearnSpec::Match {
                at: Field::Register(0).slice(0, 16),
                value: LearnSource::Constant(7u32.into()),
            },
            LearnSpec::Load {
                to: Field::TunnelDst.whole(),
                value: LearnSource::Packet(Field::Option(0).slice(56, 32)),
            },
            LearnSpec::Load {
                to: Field::Register(2).whole(),
                value: LearnSource::Constant(0x12345u32.into()),
            },
            LearnSpec::Match {
                at: Field::Register(4).whole(),
                value: LearnSource::Packet(Field::Register(4).whole()),
            },
        ],
    };
    check(
        &rule(Match::all(), vec![Action::Learn(learn)]),
        &format!(
            "{PLAIN} {ANY} 0004 0060 00000000
             ffff 0058 00002320 0010 000a 0014 0064 0000000000000099 0000 05 00 0000 0000
             2010 0007 00010004 0000  0820 0001507c 0038 00014004 0000
             2820 00012345 00010404 0000  0020 00010804 0000 00010804 0000  000000000000"
        ),
    );
}

#[test]
fn tracking() {
    // ip,actions=ct(commit,zone=reg3[0..15],table=6,exec(set_field:0x9->ct_mark)),ct(zone=5)
    let actions = vec![
        Action::Ct(Ct {
            commit: true,
            zone: Source::Field(Field::Register(3).slice(0, 16)),
            table: Some(Table(6)),
            mark: Some(9),
        }),
        Action::Ct(Ct {
            commit: false,
            zone: Source::Constant(5),
            table: None,
            mark: None,
        }),
    ];
    check(
        &rule(ip(), actions),
        &format!(
            "{PLAIN} {IP} 0004 0048 00000000
             ffff 0028 00002320 0023 0001 00010604 000f 06 000000 0000
                 0019 0010 0001d604 00000009 00000000
             ffff 0018 00002320 0023 0000 00000000 0005 ff 000000 0000"
        ),
    );
}

#[test]
fn choices_queues_and_the_controller() {
    // actions=multipath(symmetric_l3,0,modulo_n,4,0,reg1[]),
    // multipath(symmetric_l3l4+udp,0,modulo_n,16,0,reg2[0..7])
    let pick = |ports, links, to| Action::Multipath(Multipath { ports, links, to });
    let actions = vec![
        pick(false, 4, Field::Register(1).whole()),
        pick(true, 16, Field::Register(2).slice(0, 8)),
    ];
    check(
        &rule(Match::all(), actions),
        &format!(
            "{PLAIN} {ANY} 0004 0048 00000000
             ffff 0020 00002320 000a 0006 0000 0000 0000 0003 0000 00000000 001f 00010204
             ffff 0020 00002320 000a 0003 0000 0000 0000 000f 0000 00000000 0007 00010404"
        ),
    );
    // actions=set_queue:3,controller(userdata=01.02.03)
    let userdata = vec![1, 2, 3];
    check(
        &rule(
            Match::all(),
            vec![Action::Queue(3), Action::Controller { userdata }],
        ),
        &format!(
            "{PLAIN} {ANY} 0004 0028 00000000 0015 0008 00000003
             ffff 0018 00002320 0025 000000000000 0003 0007 010203 00"
        ),
    );
}
