//! Whether a datapath keeps to what is asked of it.

use super::evidence::{Evidence, Which};
use super::requirements::{Attached, Requirements};
use super::{FlowSetups, Selected};
use crate::record::{DatapathInfo, PortType, Rate};
use crate::report::cell::{Cell, Check};
use crate::report::lead::set_by_tester;
use crate::report::units;
use datapath_api::Needs;
use serde::Serialize;

/// Whether a requirement is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is.
    Met,
    /// The run does not show it.
    NotShown,
    /// It is not.
    Unmet,
}

/// A requirement, and how a datapath fares with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The requirement, by its key in the file.
    pub requirement: &'static str,
    /// Whether it is met.
    pub outcome: Outcome,
    /// In words, with figures.
    pub says: String,
    /// What that rests on.
    pub evidence: Evidence,
}

impl Finding {
    fn new(
        requirement: &'static str,
        outcome: Outcome,
        says: impl Into<String>,
        evidence: Evidence,
    ) -> Self {
        Self {
            requirement,
            outcome,
            says: says.into(),
            evidence,
        }
    }
}

/// Everything asked of a datapath, beginning with what follows from its description.
pub fn findings(
    asked: &Requirements,
    info: &DatapathInfo,
    selected: &Selected<'_, '_>,
    flow_setups: Option<&FlowSetups>,
) -> Vec<Finding> {
    let mut findings = of_description(asked, info);
    // What cannot be attached was not measured where it matters.
    if findings
        .iter()
        .any(|it| it.requirement == ATTACHES && it.outcome == Outcome::Unmet)
    {
        findings.retain(|it| it.requirement == ATTACHES);
        return findings;
    }
    if !info.missing.is_empty() {
        let missing: Vec<&str> = info.missing.iter().map(|it| it.what.as_str()).collect();
        let says = format!("it could not run here: {}", missing.join("; "));
        findings.push(Finding::new(
            MEASURED,
            Outcome::NotShown,
            says,
            description(info),
        ));
        return findings;
    }
    for (scenario, cell) in selected.cells_of(&info.name) {
        findings.extend(of_cell(asked, scenario, cell));
    }
    if let Some(least) = asked.limits.new_flows {
        findings.push(new_flows(least, info, flow_setups));
    }
    findings
}

/// What takes a datapath out of the question.
pub const ATTACHES: &str = "host.attaches";
/// What nobody asks for in a file, and without which no figure counts.
pub const MEASURED: &str = "measured";
pub const VERIFIED: &str = "verified";
pub const SOUND: &str = "nothing failed";

fn description(info: &DatapathInfo) -> Evidence {
    Evidence::Description {
        datapath: info.name.clone(),
    }
}

/// What follows from what a datapath is.
fn of_description(asked: &Requirements, info: &DatapathInfo) -> Vec<Finding> {
    let host = &asked.host;
    let evidence = || description(info);
    let judge = |requirement, is_met: bool, says: String| {
        let outcome = if is_met { Outcome::Met } else { Outcome::Unmet };
        Finding::new(requirement, outcome, says, evidence())
    };
    let ports = match info.ports {
        PortType::Veth => "it has veth ports, which containers are attached by",
        PortType::VhostUser => "it has vhost-user ports, which virtual machines are attached by",
        PortType::Rings => "it has rings in the memory of the bench, which nothing is attached by",
        PortType::Detached => "it has no ports",
    };
    let is_attached = info.ports == host.attaches.ports();
    let mut findings = vec![judge(ATTACHES, is_attached, ports.to_owned())];
    if let Some(most) = host.polled_processors {
        let (needs, says) = if info.polls_busily {
            (1, "it polls, and has a processor for itself")
        } else {
            (0, "it polls nothing, and shares its processor")
        };
        findings.push(judge(
            "host.polled_processors",
            needs <= most,
            says.to_owned(),
        ));
    }
    let Some(needs) = info.needs else {
        let says = "the run, made by an older version, does not say what it asks of a host";
        findings.push(Finding::new("host", Outcome::NotShown, says, evidence()));
        return findings;
    };
    findings.extend(
        of_needs(asked, needs)
            .into_iter()
            .map(|(requirement, is_met, says)| judge(requirement, is_met, says)),
    );
    findings
}

/// Requirement, whether it is met, and words.
fn of_needs(asked: &Requirements, needs: Needs) -> Vec<(&'static str, bool, String)> {
    let host = &asked.host;
    let mut judged = Vec::new();
    if let Some(kernel) = host.kernel {
        let is_met = needs.kernel.is_none_or(|oldest| oldest <= kernel);
        let says = match needs.kernel {
            Some(oldest) => format!("it asks for Linux {oldest} or newer; the hosts have {kernel}"),
            None => "any kernel will do".to_owned(),
        };
        judged.push(("host.kernel", is_met, says));
    }
    if host.kernel_programs == Some(false) {
        let says = match needs.kernel_programs {
            true => "it loads programs into the kernel",
            false => "it loads no programs into the kernel",
        };
        judged.push((
            "host.kernel_programs",
            !needs.kernel_programs,
            says.to_owned(),
        ));
    }
    if let Some(asked) = host.open_vswitch {
        let says = match needs.open_vswitch {
            true => "a stock Open vSwitch is in control",
            false => "no Open vSwitch is in control: what speaks OpenFlow to a host has no say",
        };
        let is_met = needs.open_vswitch == asked;
        judged.push(("host.open_vswitch", is_met, says.to_owned()));
    }
    if let Some(most) = host.hugepages_mib {
        let says = match needs.hugepages_mib {
            0 => "it takes no hugepages".to_owned(),
            mib => format!("it takes {mib} MiB in hugepages"),
        };
        judged.push(("host.hugepages_mib", needs.hugepages_mib <= most, says));
    }
    judged
}

/// What was measured in one scenario.
fn of_cell(asked: &Requirements, scenario: &str, cell: &Cell<'_>) -> Vec<Finding> {
    let trials = |which| Evidence::trials(scenario, cell, which);
    if let Some(absence) = cell.absence() {
        let says = format!("{scenario}: {absence}");
        return vec![Finding::new(
            MEASURED,
            Outcome::NotShown,
            says,
            Evidence::Nothing,
        )];
    }
    let line = |kind| Evidence::Line {
        kind,
        distance: (kind == "result")
            .then(|| cell.result.map(|result| result.distance))
            .flatten(),
        scenario: scenario.to_owned(),
        datapath: cell.datapath.to_owned(),
    };
    let mut findings = Vec::new();
    for failure in cell.failures.iter().filter(|_| cell.failed_later()) {
        let says = format!("{scenario}: {}", failure.reason);
        findings.push(Finding::new(
            SOUND,
            Outcome::NotShown,
            says,
            line("failure"),
        ));
    }
    if let Some(doubt) = cell.doubt() {
        let says = format!("{scenario}: {doubt}, so that no figure of it counts");
        let (outcome, evidence) = match cell.check {
            Check::Absent => (Outcome::NotShown, Evidence::Nothing),
            _ => (Outcome::Unmet, line("verification")),
        };
        findings.push(Finding::new(VERIFIED, outcome, says, evidence));
    }
    let limits = &asked.limits;
    if let Some(least) = limits.rate {
        findings.push(rate(
            least,
            limits.loss.unwrap_or_default(),
            scenario,
            cell,
            trials(Which::Search),
        ));
    }
    if let Some(most) = limits.p99_us {
        let figure = cell.latencies.iter().find(|it| it.percent_of_pdr == 50);
        findings.push(match figure {
            Some(figure) => {
                let found = figure.p99.ns as f64 / 1e3;
                let says = format!(
                    "{scenario}: p99 is {} µs at half of its PDR, {} Mpps, where {} of the frames were lost; at most {} µs are asked",
                    units::significant(found, 4),
                    units::mpps(figure.load),
                    units::loss(figure.loss),
                    units::significant(most, 4),
                );
                let allowed = cell.pdr().map_or(0.0, |pdr| pdr.loss_ratio);
                let is_shown = !cell.is_elsewhere && !figure.p99.uncertain;
                let outcome = if figure.loss > allowed || !is_shown {
                    // Of frames that never came nobody knows how late they would have been.
                    Outcome::NotShown
                } else if found <= most {
                    Outcome::Met
                } else {
                    Outcome::Unmet
                };
                Finding::new("limits.p99_us", outcome, says, trials(Which::Latency))
            }
            None => {
                let says = format!("{scenario}: latency was not taken");
                Finding::new("limits.p99_us", Outcome::NotShown, says, Evidence::Nothing)
            }
        });
    }
    if let Some(most) = limits.idle {
        let idle = cell.result.and_then(|result| result.idle);
        findings.push(match idle {
            Some(idle) => {
                let says = format!(
                    "{scenario}: {:.1} % of a processor while there is nothing to forward; at most {:.1} % are asked",
                    idle * 100.0,
                    most * 100.0
                );
                let outcome = if idle <= most { Outcome::Met } else { Outcome::Unmet };
                Finding::new("limits.idle", outcome, says, line("result"))
            }
            None => {
                let says = format!("{scenario}: it was not watched while idle");
                Finding::new("limits.idle", Outcome::NotShown, says, Evidence::Nothing)
            }
        });
    }
    findings
}

/// Whether it carries as much with as little loss.
fn rate(least: f64, loss: f64, scenario: &str, cell: &Cell<'_>, evidence: Evidence) -> Finding {
    let rates: &[Rate] = cell.result.map_or(&[], |result| &result.rates);
    // The goal that allows most of what the user allows.
    let goal = rates
        .iter()
        .filter(|rate| rate.loss_ratio <= loss)
        .max_by(|one, other| one.loss_ratio.total_cmp(&other.loss_ratio));
    let Some(goal) = goal else {
        let says = format!("{scenario}: no rate with a loss of at most {loss} was searched");
        return Finding::new("limits.rate", Outcome::NotShown, says, Evidence::Nothing);
    };
    let mpps = |rate: Option<f64>| match rate {
        Some(rate) => units::mpps(rate),
        None => "?".to_owned(),
    };
    let says = format!(
        "{scenario}: {} is between {} and {} Mpps; {} are asked, with a loss of at most {loss}",
        goal.goal,
        mpps(goal.lower),
        mpps(goal.upper),
        mpps(Some(least)),
    );
    let (outcome, why) = if cell.is_elsewhere {
        (
            Outcome::NotShown,
            "processors were at another distance than in the rest",
        )
    } else if goal.lower.is_some_and(|lower| lower >= least) {
        (Outcome::Met, "")
    } else if goal.lower.is_none() && goal.loss_ratio == 0.0 {
        (
            Outcome::NotShown,
            "no rate was found at which nothing is lost; limits.loss = 0.005 asks for PDR, and a longer profile may find NDR",
        )
    } else if goal.upper.is_none_or(|upper| upper >= least) {
        (Outcome::NotShown, "a longer profile may tell")
    } else if cell.is_contradicted() {
        (Outcome::NotShown, "one of its trials carried more")
    } else if set_by_tester(cell, goal) {
        (Outcome::NotShown, "the tester may have set the upper bound")
    } else {
        (Outcome::Unmet, "")
    };
    let says = match why {
        "" => says,
        why => format!("{says}; {why}"),
    };
    Finding::new("limits.rate", outcome, says, evidence)
}

/// Whether it takes as many new flows, by another run.
fn new_flows(least: f64, info: &DatapathInfo, flow_setups: Option<&FlowSetups>) -> Finding {
    const KEY: &str = "limits.new_flows";
    let Some(flow_setups) = flow_setups else {
        let says = "new flows are measured by `bench flow-setup`; give its folder by --flow-setup";
        return Finding::new(KEY, Outcome::NotShown, says, Evidence::Nothing);
    };
    let Some(setup) = flow_setups.of(&info.name) else {
        let says = "the run of flow-setup has no rate of it";
        return Finding::new(KEY, Outcome::NotShown, says, Evidence::Nothing);
    };
    let bound = |rate: Option<f64>| rate.map_or("?".to_owned(), |rate| format!("{rate:.0}"));
    let says = format!(
        "between {} and {} new flows a second; {least:.0} are asked",
        bound(setup.lower),
        bound(setup.upper)
    );
    let (says, outcome) = if setup.lower.is_some_and(|lower| lower >= least) {
        (says, Outcome::Met)
    } else if let Some(doubt) = setup.doubt {
        (format!("{says}; {doubt}"), Outcome::NotShown)
    } else if setup.upper.is_some_and(|upper| upper < least) {
        (says, Outcome::Unmet)
    } else {
        (says, Outcome::NotShown)
    };
    Finding::new(KEY, outcome, says, setup.evidence(&info.name))
}

/// What is attached, in a word.
pub fn attached(attached: Attached) -> &'static str {
    match attached {
        Attached::Containers => "containers",
        Attached::VirtualMachines => "virtual machines",
    }
}
