//! OpenFlow with a real Open vSwitch. Needs root and the package `openvswitch-switch`; without, every test here is
//! reported as ignored.

use libtest_mimic::{Arguments, Failed, Trial};
use netdev::Namespace;
use ovs_adapter::database::Bridge;
use ovs_adapter::flow::{
    Action, Cookie, Field, Match, OPTION_LENGTHS, PortNumber, Priority, Rule, Table, Value,
};
use ovs_adapter::openflow::{Change, Connection, Filter, TlvMapping};
use ovs_adapter::{Error, Flavour, Installation, Instance};
use serde_json::json;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

#[path = "openflow/examples.rs"]
mod examples;
#[path = "openflow/load.rs"]
mod load;

const BRIDGE: Bridge<'_> = Bridge {
    name: "br0",
    datapath_type: "netdev",
    other_config: &[],
};

fn main() {
    // SAFETY: has no preconditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    let missing = match Installation::find(Flavour::Stock) {
        _ if !is_root => Some("privileges; run `cargo xtask test`".to_owned()),
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    };
    if let Some(missing) = &missing {
        eprintln!("ignored: {missing}");
    }
    let test = |name: &str, run: fn() -> Result<(), Failed>| {
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let trials = vec![
        test("a_bridge_without_openflow_1_4_is_told", no_version),
        test("options_are_mapped", options),
        test("every_field_and_action_is_taken_and_printed", everything),
        test("a_bundle_with_a_bad_rule_changes_nothing", bad_rule),
        test("a_full_table_is_told", full),
        test("refusals_of_single_changes_are_told_once", late),
        test("rules_are_filtered_counted_and_deleted", filtered),
        test("ten_thousand_rules_in_a_bundle", load::many),
        test("packets_come_back_with_all_that_is_known", packets),
        test("a_flood_of_packets_and_rules", load::flood),
        test("a_killed_switch_is_told", killed),
        test(
            "a_connection_that_the_switch_closed_is_opened_again",
            closed,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A switch with a bridge and a connection to it. The connection is dropped before the switch.
struct Switch {
    connection: Connection,
    instance: Instance,
    _namespace: Namespace,
}

impl Switch {
    fn start() -> Result<Self, Failed> {
        let namespace = Namespace::new()?;
        let installation = Installation::find(Flavour::Stock)?;
        let instance = Instance::start(&installation, &namespace, None, &[])?;
        instance.database()?.add_bridge(&BRIDGE, &[])?;
        let mut connection = Connection::open(&instance.management_socket("br0"))?;
        connection.set_tlv_table(&mappings())?;
        Ok(Self {
            connection,
            instance,
            _namespace: namespace,
        })
    }

    /// Has the bridge speak these versions of OpenFlow alone.
    fn allow_only(&self, versions: &[&str]) -> Result<(), Failed> {
        let row = json!({"protocols": ["set", versions]});
        let update = json!({"op": "update", "table": "Bridge", "where": [], "row": row});
        let next = json!({
            "op": "mutate", "table": "Open_vSwitch", "where": [],
            "mutations": [["next_cfg", "+=", 1]],
        });
        let mut database = self.instance.database()?;
        database.transact("changing versions", vec![update, next])?;
        Ok(())
    }

    /// What `ovs-ofctl` prints.
    fn print(&self, command: &str, arguments: &[&str]) -> Result<String, Failed> {
        let socket = self.instance.management_socket("br0");
        let output = Command::new("ovs-ofctl")
            .args(["-O", "OpenFlow14", "--no-stats", "--no-names", command])
            .arg(format!("unix:{}", socket.display()))
            .args(arguments)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr);
        check(output.status.success(), &complaints)?;
        Ok(said)
    }
}

fn mappings() -> Vec<TlvMapping> {
    let lengths = OPTION_LENGTHS.into_iter().filter(|length| *length > 0);
    (0..)
        .zip(lengths)
        .map(|(index, length)| TlvMapping {
            class: 0x1101,
            kind: 0x48 + index,
            length,
            index,
        })
        .collect()
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn refused<T>(result: Result<T, Error>) -> Result<String, Failed> {
    match result {
        Ok(_) => Err("no error".into()),
        Err(error) => Ok(error.to_string()),
    }
}

fn rule(priority: u16, matches: Match, actions: Vec<Action>) -> Rule {
    Rule {
        table: Table(0),
        priority: Priority(priority),
        cookie: Cookie(0),
        idle_timeout: 0,
        hard_timeout: 0,
        matches,
        actions,
    }
}

fn ip() -> Match {
    Match::all().with(Field::EthType, 0x800u16)
}

fn options() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    check(
        switch.connection.tlv_table()? == mappings(),
        "read otherwise than written",
    )?;
    let printed = switch.print("dump-tlv-map", &[])?;
    for TlvMapping {
        class,
        kind,
        length,
        index,
    } in mappings()
    {
        let line = [
            format!("{class:#x}"),
            format!("{kind:#x}"),
            length.to_string(),
            format!("tun_metadata{index}"),
        ];
        let words = |printed: &str| printed.split_whitespace().map(str::to_owned).collect();
        check(
            printed
                .lines()
                .map(words)
                .any(|words: Vec<String>| words == line),
            &format!("{line:?} is not in {printed}"),
        )?;
    }

    let twice = [mappings(), mappings()].concat();
    let said = refused(switch.connection.set_tlv_table(&twice))?;
    check(said.contains("TLV table"), &said)?;
    switch.connection.set_tlv_table(&mappings())?;

    let user = rule(1, Match::all().with_present(Field::Option(0)), vec![]);
    switch.connection.change_atomically(&[Change::Add(user)])?;
    let said = refused(switch.connection.set_tlv_table(&mappings()))?;
    check(said.contains("delete them first"), &said)?;
    switch
        .connection
        .change_atomically(&[Change::Delete(Filter::all())])?;
    switch.connection.set_tlv_table(&[])?;
    check(switch.connection.tlv_table()?.is_empty(), "not empty")
}

fn no_version() -> Result<(), Failed> {
    let switch = Switch::start()?;
    switch.allow_only(&["OpenFlow13"])?;
    let began = Instant::now();
    // The switch reads the database in its own time.
    loop {
        match Connection::open(&switch.instance.management_socket("br0")) {
            Err(error) if error.to_string().contains("OpenFlow 1.4") => return Ok(()),
            result => check(
                began.elapsed() < Duration::from_secs(30),
                &format!("{:?}", result.map(|_| ())),
            )?,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn everything() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let (matches, actions) = (examples::matches(), examples::actions());
    let with_match = matches.iter().map(|(matches, text)| {
        let text = format!("{text} actions=drop");
        (matches.clone(), vec![], text)
    });
    // What actions need is matched.
    let with_action = actions.iter().map(|(action, text)| {
        let text = format!(",ip actions={text}");
        (ip(), vec![action.clone()], text)
    });
    let examples: Vec<(Rule, String)> = (1..)
        .zip(with_match.chain(with_action))
        .map(|(number, (matches, actions, text))| {
            let text = format!("priority={number}{text}");
            (rule(number, matches, actions), text)
        })
        .collect();
    let changes: Vec<Change> = examples
        .iter()
        .map(|(rule, _)| Change::Add(rule.clone()))
        .collect();
    switch.connection.change_atomically(&changes)?;
    let printed = switch.print("dump-flows", &[])?;
    let read = switch.connection.rules(&Filter::all())?;
    for (rule, text) in &examples {
        check(
            printed.lines().any(|line| line.trim() == text),
            &format!("{text}\nis not in\n{printed}"),
        )?;
        let stats = read
            .iter()
            .find(|stats| stats.rule == *rule && stats.undecoded == 0);
        check(stats.is_some(), &format!("{rule}\nis not in\n{read:#?}"))?;
    }
    check(read.len() == examples.len(), "other rules are there")
}

fn bad_rule() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let good = rule(1, ip(), vec![]);
    // Not understood: the switch refuses it when it is added. Not possible: when the bundle is committed.
    let no_ether_type = rule(7, Match::all().with(Field::IpProto, 6u8), vec![]);
    let unmapped = rule(8, Match::all().with_present(Field::Option(7)), vec![]);
    let mut no_table = rule(9, ip(), vec![]);
    no_table.table = Table(255);
    for bad in [no_ether_type, unmapped, no_table] {
        let changes = [good.clone(), bad.clone(), good.clone()].map(Change::Add);
        let said = refused(switch.connection.change_atomically(&changes))?;
        check(said.contains(&bad.to_string()), &said)?;
        let rules = switch.connection.rules(&Filter::all())?;
        check(rules.is_empty(), "rules of a refused bundle are there")?;
    }
    // However much else was refused before.
    let bad = rule(7, Match::all().with(Field::IpProto, 6u8), vec![]);
    for _ in 0..200 {
        switch.connection.change(&Change::Add(bad.clone()))?;
    }
    let changes = [&good, &bad, &bad].map(|rule| Change::Add(rule.clone()));
    refused(switch.connection.change_atomically(&changes))?;
    let rules = switch.connection.rules(&Filter::all())?;
    check(rules.is_empty(), "rules of a refused bundle are there")?;
    refused(switch.connection.barrier())?;
    switch.connection.change_atomically(&[Change::Add(good)])?;
    switch.connection.barrier()?;
    check(
        switch.connection.rules(&Filter::all())?.len() == 1,
        "no rule",
    )
}

fn full() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let first = rule(1, ip(), vec![]);
    switch.connection.change_atomically(&[Change::Add(first)])?;
    let insert = json!({
        "op": "insert", "table": "Flow_Table", "uuid-name": "limited", "row": {"flow_limit": 100},
    });
    let row = json!({"flow_tables": ["map", [[0, ["named-uuid", "limited"]]]]});
    let update = json!({"op": "update", "table": "Bridge", "where": [], "row": row});
    switch
        .instance
        .database()?
        .transact("limiting", vec![insert, update])?;
    // The switch reads the database in its own time.
    let began = Instant::now();
    let add = |number: u32| {
        let matches = ip().with(Field::IpDst, number);
        Change::Add(rule(2, matches, vec![]))
    };
    let changes: Vec<Change> = (0..100).map(add).collect();
    let said = loop {
        match switch.connection.change_atomically(&changes) {
            Ok(()) if began.elapsed() < Duration::from_secs(30) => {
                let filter = Filter {
                    matches: ip().with_slice(Field::IpDst.slice(8, 24), 0u32),
                    ..Filter::default()
                };
                switch
                    .connection
                    .change_atomically(&[Change::Delete(filter)])?;
            }
            Ok(()) => return Err("no limit".into()),
            Err(Error::Refused { what, refusal }) if refusal.is_table_full() => break what,
            Err(error) => return Err(error.into()),
        }
    };
    check(said == changes[99].to_string(), &said)?;
    let rules = switch.connection.rules(&Filter::all())?;
    check(rules.len() == 1, "rules of a refused bundle are there")
}

fn late() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let good = rule(1, ip(), vec![]);
    let bad = rule(7, Match::all().with(Field::IpProto, 6u8), vec![]);
    for one in [&good, &bad, &good] {
        switch.connection.change(&Change::Add(one.clone()))?;
    }
    let said = refused(switch.connection.barrier())?;
    check(
        said.contains("priority=7,nw_proto=0x6") && said.contains("EtherType"),
        &said,
    )?;
    switch.connection.barrier()?;
    let nowhere = [Action::Output(PortNumber(0xff01))];
    switch
        .connection
        .packet_out(PortNumber::LOCAL, &[0; 60], &nowhere)?;
    let said = refused(switch.connection.barrier())?;
    check(said.contains("a packet"), &said)?;
    check(
        switch.connection.rules(&Filter::all())?.len() == 1,
        "no rule",
    )
}

fn filtered() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let connection = &mut switch.connection;
    let mut changes = Vec::new();
    for number in 0..30u8 {
        let mut rule = rule(number.into(), ip().with(Field::IpDst, number), vec![]);
        rule.table = Table(number % 3);
        rule.cookie = Cookie((number % 2).into());
        changes.push(Change::Add(rule));
    }
    connection.change_atomically(&changes)?;
    let even = Filter::table(Table(2)).with_cookie(Cookie(0));
    check(connection.rules(&even)?.len() == 5, "rules")?;
    check(connection.aggregate(&even)?.rules == 5, "counted rules")?;
    connection.change(&Change::DeleteStrict {
        table: Table(2),
        priority: Priority(2),
        matches: ip().with(Field::IpDst, 2u8),
    })?;
    check(connection.aggregate(&even)?.rules == 4, "strictly")?;
    connection.change(&Change::Delete(even.clone()))?;
    check(connection.aggregate(&even)?.rules == 0, "deleted")?;
    check(
        connection.aggregate(&Filter::all())?.rules == 25,
        "too many deleted",
    )?;

    let rule = rule(100, Match::all(), vec![]);
    connection.change(&Change::Add(rule))?;
    let look_up = [Action::Resubmit(Table(0))];
    for _ in 0..3 {
        connection.packet_out(PortNumber::LOCAL, &[0; 60], &look_up)?;
    }
    let counted = connection.aggregate(&Filter::table(Table(0)))?;
    check(
        (counted.packets, counted.bytes) == (3, 180),
        &format!("{counted:?}"),
    )?;
    let ports = connection.port_stats()?;
    check(
        ports.iter().any(|port| port.port == PortNumber::LOCAL),
        "no port",
    )
}

/// An IPv4 packet in Ethernet with some bytes after the headers.
fn frame(number: u32) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1]);
    frame.extend(number.to_be_bytes());
    frame.extend([0x5a; 20]);
    frame
}

fn packets() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let userdata = b"who is it?".to_vec();
    let mut to_controller = rule(
        5,
        Match::all(),
        vec![Action::Controller {
            userdata: userdata.clone(),
        }],
    );
    to_controller.table = Table(9);
    to_controller.cookie = Cookie(0xc0ffee);
    let connection = &mut switch.connection;
    connection.change_atomically(&[Change::Add(to_controller)])?;

    let metadata = [
        (Field::TunnelId, Value::from(0x7bu8)),
        (Field::TunnelSrc, Value::from(0xac1f_0001u32)),
        (Field::TunnelDst, Value::from(0xac1f_0002u32)),
        (Field::Option(0), Value::ones(90)),
        (Field::Option(3), Value::ones(224) >> 3),
        (Field::Register(3), Value::from(3u8)),
        (Field::PacketMark, Value::from(5u8)),
    ];
    let mut actions: Vec<Action> = metadata
        .map(|(field, value)| Action::set(field, value))
        .into();
    actions.push(Action::Resubmit(Table(9)));

    // Who did not ask gets nothing.
    connection.packet_out(PortNumber::LOCAL, &frame(1), &actions)?;
    connection.barrier()?;
    check(
        connection.packet_in(Duration::from_millis(100))?.is_none(),
        "unasked",
    )?;
    connection.want_packet_ins()?;
    connection.packet_out(PortNumber::LOCAL, &frame(1), &actions)?;
    let packet = connection
        .packet_in(Duration::from_secs(30))?
        .ok_or("no packet")?;
    check(packet.frame == frame(1), "another frame")?;
    check(packet.userdata == userdata, "other userdata")?;
    check(
        (packet.table, packet.cookie) == (Table(9), Cookie(0xc0ffee)),
        "of another rule",
    )?;
    let all = (Field::InPort, Value::from(PortNumber::LOCAL.0));
    let expected = metadata.into_iter().chain([all]);
    let expected = expected.fold(Match::all(), |all, (field, value)| all.with(field, value));
    check(
        packet.metadata == expected,
        &format!("{}\n{expected}", packet.metadata),
    )?;
    check(
        connection.packet_in(Duration::ZERO)?.is_none(),
        "another packet",
    )
}

fn killed() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    // SAFETY: a child of this process, which is not reaped before it ends.
    unsafe { libc::kill(switch.instance.pid() as libc::pid_t, libc::SIGKILL) };
    let said = refused(switch.connection.barrier())?;
    check(said.starts_with("OpenFlow"), &said)?;
    let said = refused(switch.connection.rules(&Filter::all()))?;
    check(said.starts_with("OpenFlow"), &said)?;
    let socket = switch.instance.management_socket("br0");
    let said = refused(Connection::open(&socket))?;
    check(said.contains("br0.mgmt"), &said)
}

/// A switch closes connections on which it hears nothing for two minutes, and all of them when versions change, which
/// does not take as long.
fn closed() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let socket = switch.instance.management_socket("br0");
    let mut another = UnixStream::connect(&socket)?;
    // It is known once it was greeted.
    another.read_exact(&mut [0; 8])?;
    switch.allow_only(&["OpenFlow14", "OpenFlow15"])?;
    another.read_to_end(&mut Vec::new())?;
    // Where versions changed it listens anew, a moment later.
    let began = Instant::now();
    while let Err(error) = Connection::open(&socket) {
        check(
            began.elapsed() < Duration::from_secs(30),
            &error.to_string(),
        )?;
        std::thread::sleep(Duration::from_millis(1));
    }
    let added = Change::Add(rule(1, Match::all(), vec![]));
    switch.connection.change_atomically(&[added])?;
    let rules = switch.connection.rules(&Filter::all())?;
    check(rules.len() == 1, "the rule is not there")
}
