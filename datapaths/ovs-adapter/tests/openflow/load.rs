//! Many rules and many packets. How long they take is printed, and no verdict is made of it.

use super::{Switch, check, frame, ip, rule};
use libtest_mimic::Failed;
use ovs_adapter::flow::{Action, Field, PortNumber, Table};
use ovs_adapter::openflow::{Change, Filter};
use ovs_adapter::statistics::Tally;
use std::time::{Duration, Instant};

pub fn many() -> Result<(), Failed> {
    let mut switch = Switch::start()?;
    let changes: Vec<Change> = (0..10_000u32)
        .map(|number| {
            let matches = ip()
                .with(Field::TunnelId, u64::from(number % 100))
                .with(Field::IpDst, 0x0a00_0000 + number);
            let actions = vec![
                Action::set(Field::TunnelDst, 0xac1f_0000 + number % 50),
                Action::set(Field::Register(1), number),
                Action::Resubmit(Table(1)),
            ];
            Change::Add(rule(100, matches, actions))
        })
        .collect();
    for _ in 0..3 {
        let began = Instant::now();
        switch.connection.change_atomically(&changes)?;
        println!("10,000 rules in {:?}", began.elapsed());
        let began = Instant::now();
        let rules = switch.connection.rules(&Filter::all())?;
        println!("read in {:?}", began.elapsed());
        check(rules.len() == 10_000, &format!("{} rules", rules.len()))?;
        let began = Instant::now();
        switch
            .connection
            .change_atomically(&[Change::Delete(Filter::all())])?;
        println!("deleted in {:?}", began.elapsed());
    }
    let began = Instant::now();
    for change in &changes {
        switch.connection.change(change)?;
    }
    switch.connection.barrier()?;
    println!("one by one in {:?}", began.elapsed());
    check(
        switch.connection.aggregate(&Filter::all())?.rules == 10_000,
        "some are missing",
    )
}

/// Packets that each lead to a rule: neither side waits for the other for ever. A switch drops packets that are not
/// read soon enough, so that not all may come; it counts them.
pub fn flood() -> Result<(), Failed> {
    const PACKETS: u32 = 20_000;
    let mut switch = Switch::start()?;
    let connection = &mut switch.connection;
    connection.want_packet_ins()?;
    let actions = [Action::Controller { userdata: vec![1] }];
    let began = Instant::now();
    for number in 0..PACKETS {
        connection.packet_out(PortNumber::LOCAL, &frame(number), &actions)?;
    }
    let mut arrived = 0;
    while connection.packet_in(Duration::from_millis(300))?.is_some() {
        arrived += 1;
        let matches = ip().with(Field::IpDst, arrived);
        connection.change(&Change::Add(rule(1, matches, vec![])))?;
    }
    connection.barrier()?;
    println!("{arrived} of {PACKETS} packets in {:?}", began.elapsed());
    let rules = connection.aggregate(&Filter::all())?.rules;
    let counted = Tally::default().read(&switch.instance)?;
    let lost = counted.and_then(|counted| counted.packet_ins_lost);
    check(
        lost == Some(u64::from(PACKETS - arrived)),
        &format!("{lost:?} lost, {arrived} of {PACKETS} arrived"),
    )?;
    check(
        rules == arrived,
        &format!("{rules} rules for {arrived} packets"),
    )
}
