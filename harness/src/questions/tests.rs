//! The page of questions says what runs say, and no more.

use super::facts::{Told, told};
use super::*;
use crate::report::tests::fixture::{self, SCENARIOS};
use ranking::STAGES;

/// A run in which two datapaths carry so many frames a second in the first scenario, for so many rounds.
fn run(rates: [(&str, f64); 2], rounds: usize) -> RunFolder {
    let mut folder = fixture::run();
    fixture::compare(&mut folder, SCENARIOS[0], &rates, rounds);
    folder
}

/// What is said of the first against the second on veth ports.
fn said(folder: &RunFolder, [one, other]: [&str; 2]) -> String {
    verdicts(&Facts::of(folder).scenarios(PortType::Veth), one, other)
}

/// The page of a gallery with this run alone.
fn page_of(folder: RunFolder) -> String {
    page(&Gallery {
        alone: Some(folder),
        ..Gallery::default()
    })
}

const BOTH: [&str; 2] = ["kernel-xdp", "openflow"];

#[test]
fn who_carries_more_is_what_rounds_say() {
    let rates = |times: f64| [("kernel-xdp", 0.6e6 * times), ("openflow", 0.6e6)];
    let folder = run(rates(2.0), STAGES[0]);
    assert_eq!(
        said(&folder, BOTH),
        "kernel-xdp carries more than openflow in 1 of 1 scenarios (2.00 times as much)."
    );
    assert_eq!(
        said(&folder, ["openflow", "kernel-xdp"]),
        "openflow carries less than kernel-xdp in 1 of 1 scenarios (0.50 times as much)."
    );
    assert_eq!(
        said(&run(rates(1.01), STAGES[0]), BOTH),
        "kernel-xdp is equivalent to openflow in 1 of 1 scenarios."
    );
    assert_eq!(
        said(&run(rates(2.0), 1), BOTH),
        "kernel-xdp is not told from openflow in 1 of 1 scenarios."
    );
    assert_eq!(
        said(&fixture::run(), BOTH),
        "kernel-xdp and openflow were not measured against each other."
    );
}

/// One that the tester may have held back may be faster than it seems, so that it is not equivalent and has not lost.
#[test]
fn what_the_tester_may_have_set_is_not_said_to_be_less() {
    let mut folder = run([("kernel-xdp", 1.2e6), ("openflow", 0.6e6)], STAGES[0]);
    fixture::result(&mut folder, "openflow", SCENARIOS[0]).ceiling = Some(0.6e6);
    let said = said(&folder, BOTH);
    assert!(said.contains("is not told from openflow"), "{said}");
    let page = page_of(folder);
    assert!(
        page.contains("not decided: openflow tester-bound"),
        "{page}"
    );
}

#[test]
fn figures_of_the_page_are_those_of_rounds() {
    let folder = run([("kernel-xdp", 1.2e6), ("openflow", 0.6e6)], STAGES[0]);
    let page = page_of(folder);
    let row = |start: &str| {
        let row = page.lines().find(|line| line.starts_with(start));
        row.unwrap_or_else(|| panic!("no {start} in {page}"))
    };
    // openflow, kernel-xdp, their ratio, the tester's ceiling.
    let cells: Vec<&str> = row("| encap/64B/1-flow |").split(" | ").collect();
    let starts = ["| encap", "0.60", "1.20", "0.50 [0.50, 0.50]", "1.95"];
    assert_eq!(cells.len(), starts.len(), "{cells:?}");
    for (cell, start) in cells.iter().zip(starts) {
        assert!(cell.starts_with(start), "{cell} is not {start}");
    }
    for group in BUILT_IN.iter().map(|(name, _)| name) {
        assert!(
            row(&format!("| {group} |")).len() > group.len() + 10,
            "{group}"
        );
    }
}

/// What two scenarios differ by is told where intervals are apart, as a floor where the tester may have set the greater rate.
#[test]
fn a_change_is_told_only_where_it_shows() {
    let rates = [("kernel-xdp", 1.2e6), ("openflow", 0.6e6)];
    let mut folder = run(rates, STAGES[0]);
    let other = [("kernel-xdp", 1.201e6), ("openflow", 0.3e6)];
    fixture::compare(&mut folder, SCENARIOS[1], &other, STAGES[0]);
    let change = |folder: &RunFolder, name: &str| {
        let facts = Facts::of(folder);
        let cell = |scenario: &str| facts.cell(scenario, name);
        told(cell(SCENARIOS[0]), cell(SCENARIOS[1]))
    };
    assert_eq!(change(&folder, "kernel-xdp").ratio(), None);
    let doubled = change(&folder, "openflow");
    assert_eq!(doubled.words(), "2.00 [2.00, 2.00]");
    fixture::result(&mut folder, "openflow", SCENARIOS[0]).ceiling = Some(0.6e6);
    assert_eq!(change(&folder, "openflow").words(), "≥ 2.00 [2.00, 2.00]");
    let facts = Facts::of(&folder);
    let [first, second] = [SCENARIOS[0], SCENARIOS[1]].map(|it| facts.cell(it, "openflow"));
    assert_eq!(told(second, first).words(), "≤ 0.50 [0.50, 0.50]");
    fixture::result(&mut folder, "openflow", SCENARIOS[1]).ceiling = Some(0.3e6);
    assert_eq!(change(&folder, "openflow"), Told::Not);
}

#[test]
fn a_run_of_which_nothing_follows_is_said_to_be_such() {
    let mut folder = run([("kernel-xdp", 1.2e6), ("openflow", 0.6e6)], STAGES[0]);
    folder.run.profile = "smoke".to_owned();
    let page = page_of(folder);
    assert!(
        page.contains("**Nothing follows from that run: smoke"),
        "{page}"
    );
}

#[test]
fn a_gallery_without_runs_answers_nothing_and_says_how_to_make_them() {
    let nothing = page(&Gallery::default());
    assert_eq!(nothing.matches("Not in the gallery.").count(), 6);
    assert!(nothing.contains("cargo xtask bench --profile standard"));
}

#[test]
fn a_run_of_another_schema_is_refused() {
    let gallery = tempfile::tempdir().unwrap();
    let nothing = Gallery::read(gallery.path()).err().unwrap().to_string();
    assert!(nothing.contains("there is no gallery in"), "{nothing}");
    let run = gallery.path().join("quick");
    std::fs::create_dir(&run).unwrap();
    let mut written = fixture::run().run;
    written.schema = crate::record::SCHEMA - 1;
    let text = serde_json::to_string(&written).unwrap();
    std::fs::write(run.join("run.json"), text).unwrap();
    std::fs::write(run.join("trials.jsonl"), "").unwrap();
    let error = Gallery::read(gallery.path()).err().unwrap().to_string();
    assert!(error.contains("cargo xtask gallery"), "{error}");
}
