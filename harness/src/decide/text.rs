//! A decision in words.

use super::crossover::{Axis, Crossover};
use super::fares::{Fares, Span};
use super::limits::{Finding, Outcome, attached};
use super::{Answer, Candidate, Comparison, Decision, Evidence, limits};
use crate::figure::Figure;
use crate::report::terminal::Output;
use crate::report::text::{count, list};
use crate::report::units::{self, fixed, significant};
use ranking::{Interval, Verdict};

/// The whole decision, for people.
pub fn words(decision: &Decision) -> String {
    let mut out = Output::default();
    let asked = &decision.requirements;
    out.wrapped("", &format!("{}: {}", asked.name, answer(decision)));
    // Before anything that rests on such a run.
    for warning in &decision.warnings {
        out.wrapped("! ", warning);
    }
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
    let is_attached = |it: &&Candidate| !it.cannot_be_attached();
    for candidate in decision.candidates.iter().filter(is_attached) {
        self::candidate(&mut out, candidate, decision.scenarios.len());
    }
    not_attached(&mut out, decision);
    if let Some(withheld) = withheld(decision) {
        out.line("");
        out.wrapped("", &withheld);
    }
    crossovers(&mut out, decision);
    caveats(&mut out, decision);
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
pub fn answer(decision: &Decision) -> String {
    match &decision.answer {
        Answer::One {
            datapath,
            runner_up: Some((next, interval)),
        } => format!(
            "choose {datapath}{}, whose weighted score is {} that of the runner-up, {next}{}",
            decision.rate_of(datapath),
            factor(interval),
            decision.rate_of(next)
        ),
        Answer::One {
            datapath,
            runner_up: None,
        } => format!(
            "choose {datapath}{}, the only one that is shown to keep to all limits",
            decision.rate_of(datapath)
        ),
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

impl Decision {
    /// What a candidate carries, in brackets.
    fn rate_of(&self, datapath: &str) -> String {
        let candidate = self.candidates.iter().find(|it| it.datapath == datapath);
        let fares = candidate.and_then(|it| it.fares.as_ref());
        fares.map_or_else(String::new, |fares| {
            format!(" ({} Mpps)", fares.throughput.words(units::mpps))
        })
    }
}

impl Candidate {
    /// It is on other ports, and nothing else is asked of it then.
    fn cannot_be_attached(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|it| it.requirement == limits::ATTACHES && it.outcome == Outcome::Unmet)
    }
}

fn names(datapaths: &[String]) -> String {
    let names: Vec<&str> = datapaths.iter().map(String::as_str).collect();
    list(&names)
}

/// A ratio with its interval, precise enough to tell both ends from 1.
fn factor(interval: &Interval) -> String {
    let Interval {
        ratio,
        lower,
        upper,
    } = *interval;
    let is_near_one = [lower, upper].iter().any(|it| (it - 1.0).abs() < 0.005);
    let decimals = if is_near_one { 3 } else { 2 };
    format!("{ratio:.decimals$} times [{lower:.decimals$}, {upper:.decimals$}]")
}

/// What a datapath is out for, or how it compares with the choice.
fn candidate(out: &mut Output, candidate: &Candidate, scenarios: usize) {
    let verdict = match (candidate.keeps_to_limits, worst(candidate)) {
        (true, _) => "keeps to all limits",
        (false, Outcome::NotShown) => "out: not shown to keep to all limits",
        (false, _) => "out",
    };
    out.line(&format!("{}: {verdict}", candidate.datapath));
    if let Some(fares) = &candidate.fares {
        out.wrapped("    ", &figures(fares, scenarios));
    }
    let mut said = Vec::new();
    for finding in &candidate.findings {
        let mark = match finding.outcome {
            Outcome::Met => continue,
            Outcome::NotShown => "?",
            Outcome::Unmet => "✗",
        };
        let (key, says, evidence) = (finding.requirement, &finding.says, &finding.evidence);
        if said.contains(&(key, finding.outcome)) {
            continue;
        }
        said.push((key, finding.outcome));
        let alike = |it: &&Finding| (it.requirement, it.outcome) == (key, finding.outcome);
        let more = match candidate.findings.iter().filter(alike).count() - 1 {
            0 => String::new(),
            1 => "; likewise in another scenario".to_owned(),
            more => format!("; likewise in {more} other scenarios"),
        };
        out.wrapped(
            &format!("  {mark} "),
            &format!("{key}: {says} [{evidence}]{more}"),
        );
    }
    for (place, comparison) in candidate.against_choice.iter().enumerate() {
        out.wrapped("    ", &against(comparison, place > 0));
    }
}

/// What a datapath carries, and at what cost.
fn figures(fares: &Fares, scenarios: usize) -> String {
    let mpps = fares.throughput.words(units::mpps);
    let mut parts = vec![format!("carries {mpps} Mpps")];
    if let Some(taken) = fares.processor_ns {
        let taken = span(taken, |it| significant(it, 3));
        parts.push(format!("takes {taken} ns of a processor for a frame"));
    }
    if let Some(late) = fares.p99_ns {
        let late = span(late, |it| significant(it / 1e3, 3));
        parts.push(format!(
            "has a 99th percentile of latency of {late} µs at half of its own PDR"
        ));
    }
    let of = match fares.scenarios {
        all if all == scenarios => "",
        some => &format!(", where it has rounds: in {some} of {scenarios} scenarios"),
    };
    format!("{}{of}", list(&parts))
}

/// What hosts could have that were otherwise, where that is more.
pub fn withheld(decision: &Decision) -> Option<String> {
    let it = decision.withheld.as_ref()?;
    Some(format!(
        "Without {}, {} would carry {} times as much as the choice, by scenario.",
        list(&it.by),
        it.datapath,
        it.times.words(|times| fixed(times, 2))
    ))
}

/// From the least to the most, or the one that there is.
fn span(span: Span, words: impl Fn(f64) -> String) -> String {
    let [least, most] = [span.least, span.most].map(words);
    if least == most {
        least
    } else {
        format!("{least} to {most}")
    }
}

/// Those on other ports, each kind in a line.
fn not_attached(out: &mut Output, decision: &Decision) {
    let mut kinds = Vec::<(&str, Vec<&str>)>::new();
    let those = decision.candidates.iter();
    for candidate in those.filter(|it| it.cannot_be_attached()) {
        let why = candidate.findings.last();
        let why = why.map_or("", |it| it.says.as_str());
        match kinds.iter_mut().find(|(kind, _)| *kind == why) {
            Some((_, names)) => names.push(&candidate.datapath),
            None => kinds.push((why, vec![&candidate.datapath])),
        }
    }
    for (why, names) in kinds {
        let each = if names.len() > 1 { "each: " } else { "" };
        let says = format!("{}: out [run.json]", list(&names));
        out.wrapped("", &says);
        out.wrapped("  ✗ ", &format!("{each}{}: {why}", limits::ATTACHES));
    }
}

/// What was not measured, and what else there is to know.
fn caveats(out: &mut Output, decision: &Decision) {
    let mut lines = Vec::new();
    if let Some(hosts) = decision.requirements.host.kernel {
        let measured = &decision.kernel;
        if !measured.starts_with(&format!("{hosts}.")) {
            lines.push(format!(
                "All was measured on Linux {measured}; of Linux {hosts}, which the hosts have, only that parts are there is known."
            ));
        }
    }
    if !decision.not_in_the_run.is_empty() {
        let names = list(&decision.not_in_the_run);
        lines.push(format!(
            "Not judged, for the run has nothing of them: {names}. `bench list` says what they are."
        ));
    }
    if decision.other_warnings > 0 {
        lines.push(format!(
            "The run's report has {} about figures of single datapaths, ports or the machine.",
            count(decision.other_warnings as u64, "warning", "warnings")
        ));
    }
    for line in lines {
        out.line("");
        out.wrapped("! ", &line);
    }
}

/// Where the answer changes.
fn crossovers(out: &mut Output, decision: &Decision) {
    if decision.crossovers.is_empty() {
        out.line("");
        out.wrapped(
            "",
            &match decision.varied.as_slice() {
                [] => "Nothing that could change the answer was varied in this run.".to_owned(),
                varied => {
                    let varied: Vec<&str> = varied.iter().map(|axis| axis.name()).collect();
                    format!(
                        "What this run varies ({}) is not shown to change the answer.",
                        list(&varied)
                    )
                }
            },
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
                Axis::NewFlows => {
                    format!("; between {from} and {to}, by the bounds of both searches")
                }
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
    let what = match comparison.figure {
        None => "weighted score",
        Some(Figure::Latency) => "99th percentile of latency, each at half of its own rate",
        Some(figure) => figure.words(),
    };
    let choice = comparison.choice_is_better;
    let says = match comparison.choice {
        Verdict::Faster => format!("worse; the choice is {} as good", factor(&choice)),
        Verdict::Slower => format!(
            "better; it is {} as good as the choice",
            factor(&choice.inverse())
        ),
        Verdict::Equivalent => format!("equivalent; the choice is {} as good", factor(&choice)),
        Verdict::Undecided => format!("cannot be told; the choice is {} as good", factor(&choice)),
    };
    let trials: usize = comparison.evidence.iter().map(Evidence::trials_named).sum();
    let evidence = if is_same {
        "the same trials".to_owned()
    } else {
        format!("{trials} trials of both, in these rounds; --format json has their numbers")
    };
    let rounds = comparison.rounds;
    format!("{what}: {says}, by {rounds} rounds or more in each scenario [{evidence}]")
}
