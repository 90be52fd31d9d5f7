//! What a switch counted inside: the table, the figures for programs, and warnings.

use super::fixture::{self, SCENARIOS};
use super::{lines, written};
use crate::record::{Counters, Cycles, Purpose, Record, SwitchCounters, TrialRecord};
use crate::report::cell::Cell;
use crate::report::figures::Figures;
use crate::report::{RunFolder, inside, summary_json};

/// A switch that answers most lookups from its caches.
fn counted(received: u64) -> SwitchCounters {
    SwitchCounters {
        received,
        emc_hits: received / 2,
        smc_hits: received / 4,
        megaflow_hits: received / 4 - 1,
        upcalls: 1,
        packet_ins_lost: Some(0),
        cycles: Some(Cycles {
            busy: 321 * received,
            idle: 5,
        }),
        lookups_per_megaflow_hit: Some(2.25),
        packets_per_batch: Some(3.5),
        flows: Some(1_234),
        masks: Some(17),
        ..SwitchCounters::default()
    }
}

/// Search trials of `openflow` in the first scenario that count.
fn searched(folder: &mut RunFolder) -> impl Iterator<Item = &mut TrialRecord> {
    folder.records.iter_mut().filter_map(|record| match record {
        Record::Trial(trial)
            if trial.datapath == "openflow"
                && trial.scenario == SCENARIOS[0]
                && trial.purpose == Purpose::Search
                && !trial.repeated =>
        {
            Some(trial)
        }
        _ => None,
    })
}

/// The run, with a switch inside `openflow` in the first scenario.
fn with_switch(change: impl Fn(&TrialRecord, &mut SwitchCounters)) -> RunFolder {
    let mut folder = fixture::run();
    for trial in searched(&mut folder) {
        let mut inside = counted(trial.received - trial.received % 4);
        change(trial, &mut inside);
        trial.counters.get_or_insert_default().switch = Some(Box::new(inside));
    }
    folder
}

fn cell<'a, 'b>(figures: &'b Figures<'a>) -> &'b Cell<'a> {
    let here = |(scenario, cell): &(&crate::report::figures::ScenarioFigures<'_>, &Cell<'_>)| {
        scenario.id == SCENARIOS[0] && cell.datapath == "openflow"
    };
    figures.cells().find(here).unwrap().1
}

fn warnings(folder: &RunFolder, words: &str) -> usize {
    let all = Figures::of(folder).warnings;
    let here = |warning: &&String| warning.starts_with("openflow") && warning.contains(words);
    all.iter().filter(here).count()
}

#[test]
fn a_table_shows_it_for_those_that_have_it() {
    let (html, markdown, _) = written(&with_switch(|_, _| {}));
    let captions = lines(&markdown, &["inside the switch"]);
    assert_eq!(captions.len(), 1, "only one scenario has such counters");
    assert!(captions[0].contains(SCENARIOS[0]));
    let rows = lines(
        &markdown,
        &["| openflow |", "| 2.25 |", "| 3.50 |", "| 321 |"],
    );
    assert_eq!(rows.len(), 1, "{markdown}");
    let shares = "| 50 % | 25 % | 25 % | 2.25 | 1 | 0 | 0 | 1,234 | 17 |";
    assert!(rows[0].contains(shares), "{}", rows[0]);
    assert!(html.contains("inside the switch") && html.contains("1,234"));
    let (_, without, _) = written(&fixture::run());
    assert!(!without.contains("inside the switch"));
}

#[test]
fn programs_get_the_counters_and_shares() {
    let json = summary_json(&with_switch(|_, _| {}));
    let cells = &json["port_groups"][0]["scenarios"][0]["datapaths"];
    assert!(cells[0]["inside_the_switch"].is_null(), "kernel-xdp");
    let inside = &cells[1]["inside_the_switch"];
    assert_eq!(inside["counted"]["masks"], 17);
    assert_eq!(inside["counted"]["packet_ins_lost"], 0);
    assert_eq!(inside["emc_share"], 0.5);
    assert_eq!(inside["cycles_per_packet"], 321.0);
    assert_eq!(inside["within_pdr_loss"], true);
}

#[test]
fn the_fastest_trial_within_the_loss_is_taken_or_the_last() {
    let folder = with_switch(|_, _| {});
    let figures = Figures::of(&folder);
    let taken = inside::of(cell(&figures)).unwrap();
    let all = &cell(&figures).trials;
    let kept = all.iter().filter(|trial| {
        trial.purpose == Purpose::Search
            && trial.received as f64 >= trial.intended as f64 * (1.0 - 0.005)
    });
    let most = kept.map(|trial| trial.received).max().unwrap();
    assert!(taken.within_loss);
    assert_eq!(taken.says.received, most - most % 4);

    let mut folder = with_switch(|_, _| {});
    let mut last = 0;
    for trial in searched(&mut folder) {
        trial.received /= 2;
        last = trial
            .counters
            .as_ref()
            .unwrap()
            .switch
            .as_ref()
            .unwrap()
            .received;
    }
    let figures = Figures::of(&folder);
    let taken = inside::of(cell(&figures)).unwrap();
    assert!(!taken.within_loss);
    assert_eq!(taken.says.received, last);
    let (_, markdown, _) = written(&folder);
    assert_eq!(lines(&markdown, &["none kept to the loss"]).len(), 1);
}

#[test]
fn upcalls_that_decided_pdr_are_told() {
    let (failed, missed) = ("of the switch failed", "missed the switch's caches");
    let healthy = with_switch(|_, _| {});
    assert_eq!(
        (warnings(&healthy, failed), warnings(&healthy, missed)),
        (0, 0)
    );
    let folder = with_switch(|_, inside| inside.upcalls_failed = 1);
    assert_eq!(
        (warnings(&folder, failed), warnings(&folder, missed)),
        (1, 0)
    );
    let folder = with_switch(|_, inside| inside.upcalls = inside.received / 50);
    assert_eq!(
        (warnings(&folder, failed), warnings(&folder, missed)),
        (0, 1)
    );
    assert_eq!(warnings(&folder, "PDR 2.0 % of all lookups"), 1);

    let lost = "lost on the way to the controller";
    assert_eq!(warnings(&folder, lost), 0);
    let folder = with_switch(|_, inside| inside.packet_ins_lost = Some(7));
    assert_eq!((warnings(&folder, failed), warnings(&folder, lost)), (0, 1));

    // Trials at other loads decided nothing.
    let bounds = {
        let mut folder = fixture::run();
        let pdr = fixture::result(&mut folder, "openflow", SCENARIOS[0]).rates[1].clone();
        [pdr.lower.unwrap(), pdr.upper.unwrap()]
    };
    let folder = with_switch(|trial, inside| {
        if !bounds.contains(&trial.load) {
            inside.upcalls_failed = inside.received;
            inside.packet_ins_lost = Some(inside.received);
        }
    });
    assert_eq!(
        (warnings(&folder, failed), warnings(&folder, missed)),
        (0, 0)
    );
    assert_eq!(warnings(&folder, lost), 0);
}

#[test]
fn extreme_counters_do_no_harm() {
    let folder = with_switch(|_, inside| {
        *inside = SwitchCounters {
            received: 0,
            emc_hits: u64::MAX,
            megaflow_hits: u64::MAX,
            upcalls: u64::MAX,
            upcalls_failed: u64::MAX,
            packets_per_batch: Some(f64::MAX),
            ..SwitchCounters::default()
        };
    });
    let (_, markdown, _) = written(&folder);
    assert_eq!(lines(&markdown, &["inside the switch"]).len(), 1);
    let none = with_switch(|_, inside| *inside = SwitchCounters::default());
    written(&none);
    summary_json(&none);
}

#[test]
fn records_of_before_are_read() {
    let old =
        r#"{"encapsulated":1,"forwarded":2,"delivered":3,"passed":4,"shaped":5,"refused":[]}"#;
    let counters: Counters = serde_json::from_str(old).unwrap();
    assert_eq!((counters.shaped, &counters.switch), (5, &None));
    assert_eq!(serde_json::to_string(&counters).unwrap(), old);
    // Before it was known what is lost on the way to a controller.
    let mut switch = serde_json::to_value(SwitchCounters::default()).unwrap();
    assert!(switch.get("packet_ins_lost").is_none());
    switch["received"] = 9.into();
    let switch: SwitchCounters = serde_json::from_value(switch).unwrap();
    assert_eq!((switch.received, switch.packet_ins_lost), (9, None));
}
