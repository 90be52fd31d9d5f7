//! Figures of events, from records made by hand.

use super::fixture::{self, SCENARIOS};
use super::written;
use crate::record::{EventKind, EventRecord, EventStep, LearningRecord, Record, StepKind};
use crate::report::{RunFolder, summary_json, terminal_table};
use topologies::provision::Extensions;
use topologies::topology::HealthTiming;

/// 400 rounds of ten frames. The event comes in the hundredth, and these rounds lose as many frames.
fn record(kind: EventKind, lost: &[(std::ops::Range<usize>, u32)]) -> EventRecord {
    let mut received = vec![10; 400];
    for (rounds, frames) in lost {
        received[rounds.clone()]
            .iter_mut()
            .for_each(|it| *it -= frames);
    }
    EventRecord {
        datapath: "kernel-xdp".to_owned(),
        scenario: SCENARIOS[0].to_owned(),
        event: kind,
        description: format!("{kind} of something"),
        extensions: Default::default(),
        health: None,
        load: 10_000.0,
        frames_a_round: 10,
        round_ms: 1.0,
        at_ms: 100.5,
        done_ms: 120.5,
        steps: vec![EventStep {
            kind: StepKind::Told,
            about: "right".to_owned(),
            what: "right has its new tables".to_owned(),
            at_ms: 100.5,
            took_ms: 20.0,
        }],
        received,
        duplicates: 0,
        corrupted: 0,
        foreign: 0,
        crossed_before: 1_000,
        steal_ns: 0,
        round_trip_ns: None,
        repeated: false,
        crossed_after: 6_000,
    }
}

fn with(records: Vec<EventRecord>) -> RunFolder {
    let mut folder = fixture::run();
    folder
        .records
        .extend(records.into_iter().map(Record::Event));
    folder
}

#[test]
fn loss_counts_by_when_frames_were_due() {
    let gap = record(
        EventKind::Migration,
        &[(50..51, 3), (110..130, 10), (130..131, 1)],
    );
    assert_eq!(gap.lost_before(), 3);
    assert_eq!(gap.lost_after(), 201);
    assert_eq!(gap.healed_after_ms(), Some(30.5));
    assert_eq!(gap.packets_a_frame(), [1.0, 2.0]);
    let none = record(EventKind::Migration, &[]);
    assert_eq!(none.healed_after_ms(), Some(0.0));
    // Frames that are on their way when the trial ends are not lost.
    let end = record(EventKind::Migration, &[(110..112, 10), (399..400, 6)]);
    assert_eq!((end.lost_after(), end.healed_after_ms()), (20, Some(11.5)));
    let never = record(EventKind::Failure, &[(110..379, 10)]);
    assert_eq!(never.healed_after_ms(), None);
    assert_eq!(never.watched_ms(), 279.5);
    let deleted = record(EventKind::Deletion, &[(125..400, 10)]);
    // Rounds 121 to 124 were due after it was over.
    assert_eq!(deleted.arrived_late(), 40);
}

#[test]
fn when_droplets_found_a_host_dead_is_the_last_of_them_after_it_died() {
    let step = |kind, about: &str, at_ms| EventStep {
        kind,
        about: about.to_owned(),
        what: format!("{kind:?} {about}"),
        at_ms,
        took_ms: 1.5,
    };
    let mut failure = record(EventKind::Failure, &[(110..300, 10)]);
    failure.steps.push(step(StepKind::Died, "right", 100.5));
    assert_eq!(failure.found_dead_after_ms(), None);
    // The first one was wrong, and so is the last one.
    for (about, at_ms) in [
        ("right", 50.0),
        ("right", 260.5),
        ("right", 280.5),
        ("left", 300.0),
    ] {
        failure.steps.push(step(StepKind::FoundDead, about, at_ms));
    }
    assert_eq!(failure.found_dead_after_ms(), Some(181.5));
    assert_eq!(failure.false_alarms(), 2);
    failure.extensions = Extensions::ALL;
    let (_, markdown, _) = written(&with(vec![failure]));
    assert!(
        markdown.contains("| not in 280 | 1,900 | 0 | 182 (and 2 false alarms) |"),
        "{markdown}"
    );
}

/// Five droplets that poll on one processor lose some frames whatever happens: that they do after an event is not the event's.
#[test]
fn who_loses_frames_without_an_event_is_not_called_unhealed() {
    let always = record(EventKind::Migration, &[(0..400, 1)]);
    let (_, markdown, _) = written(&with(vec![always]));
    assert!(markdown.contains("| as Mizar | 10,000 | ? |"), "{markdown}");
    assert!(!markdown.contains("not in 280"), "{markdown}");
}

#[test]
fn records_that_make_no_sense_are_told_without_a_panic() {
    let mut odd = record(EventKind::Migration, &[]);
    odd.received.clear();
    odd.round_ms = 0.0;
    odd.at_ms = 1e300;
    assert_eq!((odd.lost_before(), odd.lost_after()), (0, 0));
    assert_eq!(odd.healed_after_ms(), None);
    let (html, ..) = written(&with(vec![odd]));
    assert!(html.contains("migration of something"), "{html}");
}

#[test]
fn direct_paths_that_are_found_and_not_are_told() {
    let learning = |until_ms| {
        Record::Learning(LearningRecord {
            datapath: "kernel-xdp".to_owned(),
            scenario: SCENARIOS[0].to_owned(),
            load: 10_000.0,
            offered: 20_000,
            received: 19_998,
            by_detour: 17,
            until_ms,
            watched_ms: 2_000.0,
        })
    };
    for (until_ms, told) in [(1.3, "1.3"), (1_999.0, "not in 2000")] {
        let mut folder = fixture::run();
        folder.records.push(learning(until_ms));
        let (html, markdown, _) = written(&folder);
        let row = markdown
            .lines()
            .find(|line| line.contains("| 17 | 20,000 |"));
        let row = row.unwrap_or_else(|| panic!("{markdown}"));
        assert!(row.contains(&format!("| {told} | 2 |")), "{row}");
        assert!(html.contains("take the direct path"));
        let terminal = terminal_table(&folder);
        let told = format!("direct path: no detour any more after {told} ms");
        assert!(terminal.contains(&told), "{terminal}");
    }
    // Where all is lost, nothing took a detour, and nothing was found either.
    let mut folder = fixture::run();
    let Record::Learning(lost) = learning(0.0) else {
        unreachable!()
    };
    folder.records.push(Record::Learning(LearningRecord {
        received: 0,
        by_detour: 0,
        ..lost
    }));
    let terminal = terminal_table(&folder);
    assert!(
        terminal.contains("direct path: nothing arrived"),
        "{terminal}"
    );
}

#[test]
fn every_form_of_the_report_tells_events() {
    let migration = |to| record(EventKind::Migration, &[(110..to, 10)]);
    let folder = with(vec![
        migration(120),
        migration(140),
        migration(130),
        EventRecord {
            health: Some(HealthTiming::default()),
            ..record(EventKind::Failure, &[(110..400, 10)])
        },
        record(EventKind::Deletion, &[(122..400, 10)]),
        EventRecord {
            extensions: Extensions::ALL,
            ..migration(112)
        },
    ]);
    let (html, markdown, plots) = written(&folder);
    for document in [&html, &markdown] {
        // 110 to 130 from 100.5 on: the median, the least and the most.
        let figure = document.replace('\\', "");
        assert!(figure.contains("30 [20, 40]"), "{document}");
        assert!(document.contains("not in 280"), "{document}");
        assert!(
            figure.contains("for 50 ms (HEALTH_TIMEOUT), and again every 50 ms; after 3 questions"),
            "{document}"
        );
        assert!(document.contains("deletion of something"));
    }
    // In a row of its own: the two are not one figure.
    let row = markdown.lines().find(|line| line.contains("| extended |"));
    let row = row.unwrap_or_else(|| panic!("{markdown}"));
    assert!(row.contains("| extended | 10,000 | 12 | 20 |"), "{row}");
    let panel = plots.iter().any(|svg| svg.contains("kernel-xdp, extended"));
    assert!(panel, "no picture tells the two apart");
    let pictures = plots.iter().filter(|svg| svg.contains("of something"));
    assert_eq!(pictures.count(), 3);
    let terminal = terminal_table(&folder);
    let words = terminal.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        terminal.contains("migration: all delivered again after 30 [20, 40] ms"),
        "{terminal}"
    );
    assert!(
        terminal.contains("kernel-xdp, extended: migration: all delivered again after 12 ms"),
        "{terminal}"
    );
    assert!(
        words.contains("failure: not all delivered again in 280 ms"),
        "{terminal}"
    );
    assert!(
        terminal.contains("deletion: 10 frames delivered after it"),
        "{terminal}"
    );
    assert!(
        terminal
            .lines()
            .all(|line| crate::report::text::width(line) <= 100)
    );
    let json = summary_json(&folder).to_string();
    assert!(json.contains("\"healed_after_ms\":null"), "{json}");
}
