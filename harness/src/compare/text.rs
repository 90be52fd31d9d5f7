//! A comparison in words.

use super::{Agreement, Change, Comparison, Odds, Said};
use crate::report::terminal::Output;
use crate::report::text::list;
use ranking::Verdict;

/// The whole comparison, for people.
pub fn words(comparison: &Comparison) -> String {
    let mut out = Output::default();
    out.wrapped("", &headline(comparison));
    if let [[before], [after]] = comparison.commits.each_ref().map(Vec::as_slice) {
        let commits = if before == after {
            format!("Both of commit {before}.")
        } else {
            format!("Commit {before}, then {after}.")
        };
        out.wrapped("", &commits);
    }
    if !comparison.differences.is_empty() {
        out.line("NOT THE SAME ENVIRONMENT: a difference below may be that of");
        for difference in &comparison.differences {
            out.wrapped("  ! ", difference);
        }
        out.line("");
    }
    for caution in &comparison.cautions {
        out.wrapped("! ", caution);
    }
    agreement(&mut out, &comparison.agreement);
    let lots = [
        (Verdict::Slower, "Worse than before:"),
        (Verdict::Faster, "Better than before:"),
        (Verdict::Undecided, "Undecided:"),
    ];
    for (verdict, title) in lots {
        let changes = of(comparison, verdict);
        if !changes.is_empty() {
            out.line(title);
            for change in changes {
                out.wrapped("  ", &sentence(change));
            }
        }
    }
    for (only, what) in comparison
        .only
        .iter()
        .zip(["Not measured any more", "Measured for the first time"])
    {
        if !only.is_empty() {
            out.wrapped("", &format!("{what}: {}.", list(only)));
        }
    }
    if comparison.changes.is_empty() {
        out.wrapped(
            "",
            "Nothing can be compared: no datapath was measured in rounds, in a scenario of both.",
        );
    }
    out.0
}

/// How far runs agree with their counterparts, where datapaths were measured against each other.
fn agreement(out: &mut Output, agreement: &Agreement) {
    let (all, decided) = (agreement.all(), agreement.decided());
    if all == 0 {
        return;
    }
    let elsewhere = match agreement.elsewhere {
        0 => String::new(),
        count => format!(", {count} at distances between processors that cannot be compared"),
    };
    out.wrapped("", &format!("Which datapath is faster than which: of {all} verdicts both runs decide {decided}, {} of them alike; {} are undecided in one or both{elsewhere}.", agreement.alike, agreement.open));
    if !agreement.at_odds.is_empty() {
        out.line("Decided otherwise:");
    }
    for odds in &agreement.at_odds {
        let Odds {
            scenario,
            datapaths: [one, other],
            said,
        } = odds;
        let [first, second] = said.map(|it| said_words(&it));
        out.wrapped(
            "  ",
            &format!("{scenario} {one} over {other}: {first}, then {second}"),
        );
    }
}

fn said_words(said: &Said) -> String {
    let interval = said.interval.map_or_else(String::new, |it| {
        format!(" {:.3} [{:.3}, {:.3}]", it.ratio, it.lower, it.upper)
    });
    format!("{}{interval}", said.verdict)
}

/// What follows, in a sentence.
fn headline(comparison: &Comparison) -> String {
    let count = |verdict| of(comparison, verdict).len();
    let [worse, better, as_before] =
        [Verdict::Slower, Verdict::Faster, Verdict::Equivalent].map(count);
    let all = comparison.changes.len();
    let first = if comparison.has_regressions() {
        "Something became worse"
    } else if worse + better + as_before == 0 {
        "Nothing could be decided"
    } else {
        "Nothing became worse for certain"
    };
    format!(
        "{first}: of {all} figures {worse} are worse, {better} better, {as_before} as they were within the tolerance, and {} undecided.",
        count(Verdict::Undecided)
    )
}

fn of(comparison: &Comparison, verdict: Verdict) -> Vec<&Change> {
    let changes = comparison.changes.iter();
    changes.filter(|it| it.verdict == verdict).collect()
}

fn sentence(change: &Change) -> String {
    let Change {
        scenario,
        datapath,
        figure,
        times_better,
        about,
        runs,
        set_by_tester,
        ..
    } = change;
    let how = match times_better {
        Some(it) => format!(
            "{:.3} times as good [{:.3}, {:.3}]",
            it.ratio, it.lower, it.upper
        ),
        None => format!("about {about:.3} times as good, and too few runs to say"),
    };
    let pairs = if *runs == 1 { "pair" } else { "pairs" };
    let tester = if *set_by_tester { ", tester-bound" } else { "" };
    format!(
        "{scenario} {datapath}: {}: {how}, {runs} {pairs} of runs{tester}",
        figure.words()
    )
}
