//! One rule for each field and each action.

use super::ip;
use ovs_adapter::flow::{
    Action, Cookie, Ct, Field, Learn, LearnSource, LearnSpec, Match, Multipath, PortNumber,
    Priority, Source, Table, Value, ct_state, fragment,
};

fn arp() -> Match {
    Match::all().with(Field::EthType, 0x806u16)
}

/// Matches of every field, and how `ovs-ofctl dump-flows` prints them.
pub fn matches() -> Vec<(Match, &'static str)> {
    let state = Value::from(ct_state::TRACKED | ct_state::ESTABLISHED);
    let tcp = || ip().with(Field::IpProto, 6u8);
    let udp = || ip().with(Field::IpProto, 17u8);
    let all = Match::all;
    vec![
        (all(), ""),
        (
            all().with(Field::InPort, PortNumber::LOCAL.0),
            ",in_port=LOCAL",
        ),
        (all().with(Field::Register(0), 1u8), ",reg0=0x1"),
        (
            all().with_slice(Field::Register(15).slice(4, 4), 1u8),
            ",reg15=0x10/0xf0",
        ),
        (all().with(Field::PacketMark, 5u8), ",pkt_mark=0x5"),
        (
            all().with_masked(Field::CtState, state, state),
            ",ct_state=+est+trk",
        ),
        (all().with(Field::CtMark, 9u8), ",ct_mark=0x9"),
        (all().with(Field::TunnelId, 0x7bu8), ",tun_id=0x7b"),
        (
            all().with(Field::TunnelSrc, 0xac1f_0001u32),
            ",tun_src=172.31.0.1",
        ),
        (
            all().with_slice(Field::TunnelDst.slice(16, 16), 0xac1fu32),
            ",tun_dst=172.31.0.0/16",
        ),
        (all().with_present(Field::Option(0)), ",tun_metadata0"),
        (
            all().with(Field::Option(0), Value::ones(90)),
            ",tun_metadata0=0x3ffffffffffffffffffffff",
        ),
        (
            all().with_slice(Field::Option(3).slice(200, 16), 0xabcdu32),
            ",tun_metadata3=0xabcd00000000000000000000000000000000000000000000000000\
             /0xffff00000000000000000000000000000000000000000000000000",
        ),
        (
            all().with(Field::EthDst, 0x0200_0000_0001u64),
            ",dl_dst=02:00:00:00:00:01",
        ),
        (
            all().with_slice(Field::EthSrc.slice(24, 24), 0x02_0000u32),
            ",dl_src=02:00:00:00:00:00/ff:ff:ff:00:00:00",
        ),
        (ip().with(Field::IpProto, 50u8), ",ip,nw_proto=50"),
        (ip().with(Field::IpDscp, 2u8), ",ip,nw_tos=8"),
        (ip().with(Field::IpTtl, 64u8), ",ip,nw_ttl=64"),
        (ip().with(Field::IpFragment, 0u8), ",ip,nw_frag=no"),
        (
            ip().with(Field::IpFragment, fragment::ANY),
            ",ip,nw_frag=first",
        ),
        (
            ip().with_slice(Field::IpFragment.slice(1, 1), 1u8),
            ",ip,nw_frag=later",
        ),
        (
            ip().with(Field::IpSrc, 0x0a00_0001u32),
            ",ip,nw_src=10.0.0.1",
        ),
        (
            ip().with_slice(Field::IpDst.slice(24, 8), 10u8),
            ",ip,nw_dst=10.0.0.0/8",
        ),
        (tcp().with(Field::TcpSrc, 1u8), ",tcp,tp_src=1"),
        (tcp().with(Field::TcpDst, 80u8), ",tcp,tp_dst=80"),
        (udp().with(Field::UdpSrc, 1u8), ",udp,tp_src=1"),
        (
            udp().with_slice(Field::UdpDst.slice(8, 8), 1u8),
            ",udp,tp_dst=0x100/0xff00",
        ),
        (arp().with(Field::ArpOperation, 2u8), ",arp,arp_op=2"),
        (
            arp().with(Field::ArpSenderIp, 0x0a00_0001u32),
            ",arp,arp_spa=10.0.0.1",
        ),
        (
            arp().with(Field::ArpTargetIp, 0x0a00_0002u32),
            ",arp,arp_tpa=10.0.0.2",
        ),
        (
            arp().with(Field::ArpSenderMac, 0x0200_0000_0001u64),
            ",arp,arp_sha=02:00:00:00:00:01",
        ),
        (
            arp().with(Field::ArpTargetMac, 0x0200_0000_0002u64),
            ",arp,arp_tha=02:00:00:00:00:02",
        ),
    ]
}

/// Every action, and how `ovs-ofctl dump-flows` prints it.
pub fn actions() -> Vec<(Action, &'static str)> {
    let load = |to, value: u32| Action::Set {
        to,
        value: value.into(),
    };
    let learn = |specs| {
        Action::Learn(Learn {
            table: Table(5),
            priority: Priority(100),
            cookie: Cookie(0x99),
            idle_timeout: 10,
            hard_timeout: 20,
            specs,
        })
    };
    let constant = |value: u32| LearnSource::Constant(value.into());
    let pick = |ports, links, to| Action::Multipath(Multipath { ports, links, to });
    vec![
        (Action::Output(PortNumber::IN_PORT), "IN_PORT"),
        (Action::Output(PortNumber(0xfe00)), "output:65024"),
        (
            Action::Controller {
                userdata: vec![1, 2],
            },
            "controller(userdata=01.02)",
        ),
        (Action::Queue(3), "set_queue:3"),
        (Action::Resubmit(Table(4)), "resubmit(,4)"),
        (
            Action::Delete(Field::Option(3)),
            "delete_field:tun_metadata3",
        ),
        (
            load(Field::Register(1).slice(4, 4), 3),
            "load:0x3->NXM_NX_REG1[4..7]",
        ),
        (
            Action::set(Field::InPort, 5u8),
            "load:0x5->NXM_OF_IN_PORT[]",
        ),
        (
            load(Field::Wide(1).slice(32, 32), 18),
            "load:0x12->OXM_OF_PKT_REG1[32..63]",
        ),
        (
            load(Field::Option(0).slice(56, 32), 0xac1f_0003),
            "set_field:0xac1f000300000000000000/0xffffffff00000000000000->tun_metadata0",
        ),
        (
            Action::set(Field::Option(0), Value::ones(90)),
            "set_field:0x3ffffffffffffffffffffff->tun_metadata0",
        ),
        (Action::set(Field::Register(3), 7u8), "set_field:0x7->reg3"),
        (Action::set(Field::Wide(3), 7u8), "set_field:0x7->xreg3"),
        (
            Action::set(Field::PacketMark, 7u8),
            "set_field:0x7->pkt_mark",
        ),
        (Action::set(Field::TunnelId, 7u8), "set_field:0x7->tun_id"),
        (
            Action::set(Field::TunnelSrc, 0x0102_0304u32),
            "set_field:1.2.3.4->tun_src",
        ),
        (
            Action::set(Field::EthDst, 0x0200_0000_0001u64),
            "set_field:02:00:00:00:00:01->eth_dst",
        ),
        (
            Action::set(Field::EthSrc, 0x0200_0000_0001u64),
            "set_field:02:00:00:00:00:01->eth_src",
        ),
        (Action::set(Field::IpDscp, 2u8), "set_field:2->ip_dscp"),
        (Action::set(Field::IpTtl, 3u8), "set_field:3->nw_ttl"),
        (
            Action::set(Field::IpSrc, 0x0102_0304u32),
            "set_field:1.2.3.4->ip_src",
        ),
        (
            Action::copy(Field::Register(0), Field::Register(1)),
            "move:NXM_NX_REG0[]->NXM_NX_REG1[]",
        ),
        (
            Action::copy(Field::EthSrc, Field::EthDst),
            "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
        ),
        (
            Action::copy(Field::IpSrc, Field::TunnelDst),
            "move:NXM_OF_IP_SRC[]->NXM_NX_TUN_IPV4_DST[]",
        ),
        (
            Action::Move {
                from: Field::Option(0).slice(56, 32),
                to: Field::TunnelDst.whole(),
            },
            "move:NXM_NX_TUN_METADATA0[56..87]->NXM_NX_TUN_IPV4_DST[]",
        ),
        (
            Action::Move {
                from: Field::InPort.slice(0, 16),
                to: Field::Register(3).slice(0, 16),
            },
            "move:NXM_OF_IN_PORT[]->NXM_NX_REG3[0..15]",
        ),
        (
            learn(vec![
                LearnSpec::Match {
                    at: Field::EthType.whole(),
                    value: constant(0x800),
                },
                LearnSpec::Match {
                    at: Field::IpDst.whole(),
                    value: LearnSource::Packet(Field::IpSrc.whole()),
                },
                LearnSpec::Match {
                    at: Field::Option(5).whole(),
                    value: constant(0x1234_5678),
                },
                LearnSpec::Match {
                    at: Field::Register(0).slice(0, 16),
                    value: constant(7),
                },
                LearnSpec::Load {
                    to: Field::TunnelDst.whole(),
                    value: LearnSource::Packet(Field::Option(0).slice(56, 32)),
                },
                LearnSpec::Load {
                    to: Field::Register(2).whole(),
                    value: constant(0x12345),
                },
            ]),
            "learn(table=5,idle_timeout=10,hard_timeout=20,priority=100,cookie=0x99,eth_type=0x800,\
             NXM_OF_IP_DST[]=NXM_OF_IP_SRC[],NXM_NX_TUN_METADATA5[0..31]=0x12345678,NXM_NX_REG0[0..15]=0x7,\
             load:NXM_NX_TUN_METADATA0[56..87]->NXM_NX_TUN_IPV4_DST[],load:0x12345->NXM_NX_REG2[])",
        ),
        (
            Action::Ct(Ct {
                commit: true,
                zone: Source::Field(Field::Register(3).slice(0, 16)),
                table: Some(Table(6)),
                mark: Some(9),
            }),
            "ct(commit,table=6,zone=NXM_NX_REG3[0..15],exec(set_field:0x9->ct_mark))",
        ),
        (
            Action::Ct(Ct {
                commit: false,
                zone: Source::Constant(5),
                table: Some(Table(7)),
                mark: None,
            }),
            "ct(table=7,zone=5)",
        ),
        (
            pick(false, 4, Field::Register(1).whole()),
            "multipath(symmetric_l3,0,modulo_n,4,0,NXM_NX_REG1[])",
        ),
        (
            pick(true, 16, Field::Register(2).slice(0, 8)),
            "multipath(symmetric_l3l4+udp,0,modulo_n,16,0,NXM_NX_REG2[0..7])",
        ),
    ]
}
