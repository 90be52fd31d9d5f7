//! A decision in words.

use super::crossover::{Axis, Crossover};
use super::limits::{Outcome, attached};
use super::{Answer, Candidate, Comparison, Decision};
use crate::report::terminal::Output;
use crate::report::text::list;
use ranking::{Interval, Verdict};

/// The whole decision, for people.
pub fn words(decision: &Decision) -> String {
    let mut out = Output::default();
    let asked = &decision.requirements;
    out.line(&format!("{}: {}", asked.name, answer(decision)));
    out.line("");
    if !asked.summary.is_empty() {
        out.wrapped("", &asked.summary);
        out.line("");
    }
    let scenarios: Vec<&str> = decision.scenarios.iter().map(String::as_str).collect();
    let what = attached(asked.host.attaches);
    out.wrapped(
        "",
        &match scenarios.as_slice() {
            [] => format!("No scenario of the run counts: none is on ports for {what} and of the workload asked for."),
            some => format!("What counts, on ports for {what}: {}.", list(some)),
        },
    );
    if !decision.unmet_by_all.is_empty() {
        let keys = list(&decision.unmet_by_all);
        out.wrapped("", &format!("No datapath is shown to meet {keys}."));
    }
    out.line("");
    for candidate in &decision.candidates {
        self::candidate(&mut out, candidate);
    }
    crossovers(&mut out, decision);
    if !decision.warnings.is_empty() {
        out.line("");
        let count = decision.warnings.len();
        let plural = if count == 1 { "warning" } else { "warnings" };
        out.wrapped(
            "",
            &format!(
                "The run has {count} {plural}; its report says them. The first: {}",
                decision.warnings[0]
            ),
        );
    }
    out.line("");
    out.wrapped(
        "",
        &format!(
            "Evidence: numbers are those of trials in trials.jsonl. To make such a run again: {}",
            decision.repeat
        ),
    );
    out.0
}

/// The answer in a sentence.
fn answer(decision: &Decision) -> String {
    match &decision.answer {
        Answer::One {
            datapath,
            runner_up: Some((next, interval)),
        } => format!(
            "choose {datapath}, whose weighted score is {} that of the runner-up, {next}",
            factor(interval)
        ),
        Answer::One {
            datapath,
            runner_up: None,
        } => format!("choose {datapath}, the only one that is shown to keep to all limits"),
        Answer::Equivalent { datapaths } => {
            format!("{} are as good as each other; take any", names(datapaths))
        }
        Answer::Undecided { datapaths, because } => format!(
            "not decided between {}{}",
            names(datapaths),
            match because {
                Some(reason) => format!(": {reason}"),
                None => ": their intervals overlap; a longer profile has more rounds".to_owned(),
            }
        ),
        Answer::None => "no datapath is shown to keep to all limits".to_owned(),
    }
}

fn names(datapaths: &[String]) -> String {
    let names: Vec<&str> = datapaths.iter().map(String::as_str).collect();
    list(&names)
}

/// A ratio with its interval.
fn factor(interval: &Interval) -> String {
    format!(
        "{:.2} times [{:.2}, {:.2}]",
        interval.ratio, interval.lower, interval.upper
    )
}

/// What a datapath is out for, or how it compares with the choice.
fn candidate(out: &mut Output, candidate: &Candidate) {
    let verdict = match (candidate.keeps_to_limits, worst(candidate)) {
        (true, _) => "keeps to all limits",
        (false, Outcome::NotShown) => "out: not shown to keep to all limits",
        (false, _) => "out",
    };
    out.line(&format!("{}: {verdict}", candidate.datapath));
    for finding in &candidate.findings {
        let mark = match finding.outcome {
            Outcome::Met => continue,
            Outcome::NotShown => "?",
            Outcome::Unmet => "✗",
        };
        let (key, says, evidence) = (finding.requirement, &finding.says, &finding.evidence);
        out.wrapped(
            &format!("  {mark} "),
            &format!("{key}: {says} [{evidence}]"),
        );
    }
    let mut before: Option<&Comparison> = None;
    for comparison in &candidate.against_choice {
        let is_same = before.is_some_and(|it| it.evidence == comparison.evidence);
        out.wrapped("    ", &against(comparison, is_same));
        before = Some(comparison);
    }
}

/// Where the answer changes.
fn crossovers(out: &mut Output, decision: &Decision) {
    if decision.crossovers.is_empty() {
        out.line("");
        out.wrapped(
            "",
            "No change of the answer is shown with what this run varies.",
        );
        return;
    }
    let (modelled, interpolated): (Vec<&Crossover>, Vec<&Crossover>) = decision
        .crossovers
        .iter()
        .partition(|it| it.axis == Axis::NewFlows);
    let mut says = |title: &str, all: &[&Crossover]| {
        if all.is_empty() {
            return;
        }
        out.line("");
        out.wrapped("", title);
        for it in all {
            let [from, to] = it.between.map(|place| it.axis.words(place));
            let measured = match it.axis {
                Axis::NewFlows => String::new(),
                _ => format!("; measured at {from} and at {to}"),
            };
            let evidence: Vec<String> = it.evidence.iter().map(ToString::to_string).collect();
            let says = format!(
                "{} and {}: from about {} on, {} instead of {}{measured} [{}]",
                it.scenarios[0],
                it.scenarios[1],
                it.axis.words(it.about),
                it.above,
                it.below,
                evidence.join("; ")
            );
            out.wrapped("  ", &says);
        }
    };
    says(
        "Where the answer changes (interpolated between what was measured):",
        &interpolated,
    );
    says(
        "Where throughput alone would change sides with new flows (a model: calculated from frames of established flows and from new flows a second; no mixture was measured):",
        &modelled,
    );
}

fn worst(candidate: &Candidate) -> Outcome {
    let outcomes = candidate.findings.iter().map(|it| it.outcome);
    outcomes.max().unwrap_or(Outcome::Met)
}

/// What a datapath loses on against the choice, or wins; `is_same` if it rests on what the line before it does.
fn against(comparison: &Comparison, is_same: bool) -> String {
    let what = comparison
        .figure
        .map_or("weighted score", |figure| figure.words());
    let times = factor(&comparison.choice_is_better);
    let says = match comparison.choice {
        Verdict::Faster => format!("worse; the choice is {times} as good"),
        Verdict::Slower => format!("better; the choice is {times} as good"),
        Verdict::Equivalent => format!("equivalent; the choice is {times} as good"),
        Verdict::Undecided => format!("cannot be told; the choice is {times} as good"),
    };
    let evidence = if is_same {
        "the same trials".to_owned()
    } else {
        let evidence = comparison.evidence.iter().map(ToString::to_string);
        evidence.collect::<Vec<_>>().join("; ")
    };
    let rounds = comparison.rounds;
    format!("{what}: {says}, by {rounds} rounds a scenario [{evidence}]")
}
