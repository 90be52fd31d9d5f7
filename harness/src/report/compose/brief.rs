//! The answer in some sentences, for who has a minute: who leads, how sure that is, and what would change it.

use crate::record::{PortType, Scenario};
use crate::report::document::{Block, Line, Span};
use crate::report::figures::{Figures, Group};
use crate::report::lead::Lead;
use crate::report::{text, units};
use std::collections::BTreeMap;

/// Adds it.
pub(super) fn add(out: &mut Vec<Block<'_>>, figures: &Figures<'_>) {
    // Rings are no ports that a host could use: they count where there is nothing else.
    let is_port = |group: &&Group<'_>| group.ports != PortType::Rings && is_measured(group);
    let mut groups: Vec<&Group<'_>> = figures.groups.iter().filter(is_port).collect();
    if groups.is_empty() {
        groups.extend(&figures.groups);
    }
    let mut items: Vec<Line> = groups.iter().map(|group| answer(group)).collect();
    // Where the run is unfit nothing is sure, whatever its rounds say.
    if figures.unfit().is_none() {
        items.extend(sure(&groups));
    }
    if groups.iter().any(|group| group.datapaths.len() > 1) {
        items.push(change(&groups));
    }
    out.push(Block::List(items));
}

/// Whether anything was measured on such ports: only datapaths on veth can be droplets of an overlay.
fn is_measured(group: &Group<'_>) -> bool {
    let mut cells = group.scenarios.iter().flat_map(|it| &it.cells);
    cells.any(|cell| cell.result.is_some())
}

/// Scenarios of a group by who leads there.
fn by_leader<'a>(group: &Group<'a>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut leaders = BTreeMap::<&str, Vec<&str>>::new();
    for scenario in &group.scenarios {
        if let Lead::Datapath { name, .. } = scenario.lead {
            leaders.entry(name).or_default().push(scenario.id);
        }
    }
    leaders
}

/// Who carries most on ports of a kind.
fn answer(group: &Group<'_>) -> Line {
    let mut line = vec![Span::Text(format!("On {} ports ", group.ports))];
    if let [only] = group.datapaths.as_slice() {
        line.push(Span::Text(format!(
            "only {only} was measured, so that there is nothing to choose."
        )));
        return line;
    }
    let count = group.scenarios.len();
    let scenarios = text::count(count as u64, "scenario", "scenarios");
    let mut leaders: Vec<_> = by_leader(group).into_iter().collect();
    leaders.sort_by_key(|(_, scenarios)| std::cmp::Reverse(scenarios.len()));
    let Some(((first, led), others)) = leaders.split_first() else {
        line.push(Span::Text("it is ".to_owned()));
        line.push(Span::Strong("not decided".to_owned()));
        line.push(Span::Text(match group.scenarios.as_slice() {
            [only] => format!(" who carries most: {}.", undecided(&only.lead)),
            _ => format!(" who carries most in any of {scenarios}; the table says why."),
        }));
        return line;
    };
    line.push(Span::Strong((*first).to_owned()));
    line.push(Span::Text(format!(
        " carries most in {}{}",
        match led.len() {
            _ if count == 1 => led[0].to_owned(),
            all if all == count => format!("all {scenarios}"),
            some => format!("{some} of {scenarios}"),
        },
        by_the_least(group, first)
    )));
    for (name, led) in others {
        let led = text::list(led);
        line.push(Span::Text(format!(
            "; {name} in {led}{}",
            by_the_least(group, name)
        )));
    }
    let open = count - leaders.iter().map(|(_, led)| led.len()).sum::<usize>();
    if open > 0 {
        line.push(Span::Text(format!("; in {open} nobody leads alone")));
    }
    line.push(Span::Text(".".to_owned()));
    line
}

/// Where a datapath leads by the least, and by how much: one figure with all that belongs to it, and not a range of bare ones.
/// The table has the others.
fn by_the_least(group: &Group<'_>, leader: &str) -> String {
    let led = group.scenarios.iter().filter_map(|it| match it.lead {
        Lead::Datapath {
            name, times_next, ..
        } if name == leader => Some((it, times_next)),
        _ => None,
    });
    let count = led.clone().count();
    let least = led.min_by(|(_, one), (_, other)| one.total_cmp(other));
    least.map_or_else(String::new, |(scenario, _)| match count {
        1 => format!(", {}", scenario.lead.margin()),
        _ => format!(
            ", by the least in {}: {}",
            scenario.id,
            scenario.lead.margin()
        ),
    })
}

/// Why nobody leads.
fn undecided(lead: &Lead<'_>) -> String {
    match lead {
        Lead::Undecided(reason) => reason.clone(),
        Lead::Equivalent(names) => format!("{} are equivalent", text::list(names)),
        Lead::Datapath { .. } => lead.words(),
    }
}

/// How sure it is, where somebody leads or datapaths were measured against each other.
fn sure(groups: &[&Group<'_>]) -> Option<Line> {
    let scenarios = groups.iter().flat_map(|group| &group.scenarios);
    let standings: Vec<_> = scenarios.filter_map(|it| it.standing.as_ref()).collect();
    let Some(first) = standings.first() else {
        let leads = groups.iter().any(|group| !by_leader(group).is_empty());
        return leads.then(by_bounds);
    };
    let how = first.how;
    let pairs = standings.iter().flat_map(|standing| &standing.pairs);
    let decided = pairs.filter(|pair| pair.verdict.is_decided()).count();
    let all: usize = standings.iter().map(|standing| standing.all_pairs()).sum();
    Some(vec![
        Span::Strong("How sure:".to_owned()),
        Span::Text(format!(
            " {decided} of {all} pairs are decided, by rounds that they were measured in one after the other. All verdicts \
             of a scenario on one kind of ports hold together with a confidence of {}; what differs by less than \
             {} is called equivalent.",
            units::percent(1.0 - how.error),
            units::percent(how.tolerance.get())
        )),
    ])
}

/// How sure it is that somebody leads whose search found more than those of all others.
fn by_bounds() -> Line {
    vec![
        Span::Strong("How sure:".to_owned()),
        Span::Text(
            " that has no probability here. Who leads was found to carry more than the most that any other may, by one search \
             of each; datapaths were not measured against each other in rounds, so that a machine that was faster for one of \
             them looks the same."
                .to_owned(),
        ),
    ]
}

/// What would change the answer.
fn change(groups: &[&Group<'_>]) -> Line {
    let is_one_scenario = groups.iter().all(|group| group.scenarios.len() == 1);
    let first = if is_one_scenario {
        "Other frame sizes, numbers of flows and roles of a droplet were not measured; the profile standard does. ".to_owned()
    } else {
        let of_ports = groups.iter().filter_map(|group| changes(group));
        of_ports.collect::<String>()
    };
    vec![
        Span::Strong("What would change it:".to_owned()),
        Span::Text(format!(
            " {first}What hosts have and ask for may: kernel, hugepages, processors to spare, latency, cost of a frame. "
        )),
        Span::Code("bench decide REQUIREMENTS RUN".to_owned()),
        Span::Text(" judges this run by that.".to_owned()),
    ]
}

/// What of the scenarios changes the answer on ports of a kind, does not, or is not known to; nothing where nobody leads.
fn changes(group: &Group<'_>) -> Option<String> {
    let ports = group.ports;
    match by_leader(group).len() {
        0 => return None,
        1 => {}
        _ => return Some(format!("On {ports} ports the scenario does: see above. ")),
    }
    let open = group.scenarios.iter();
    let open = open.filter(|it| matches!(it.lead, Lead::Undecided(_) | Lead::Equivalent(_)));
    let open: Vec<&str> = open.map(|it| it.id).collect();
    if !open.is_empty() {
        let open = text::list(&open);
        return Some(format!("On {ports} ports {open} may: there nobody leads. "));
    }
    let varied = varied(group);
    let varied = (!varied.is_empty()).then(|| varied.join(" or "))?;
    Some(format!(
        "On {ports} ports no {varied} that was measured does. "
    ))
}

/// What differs among the scenarios in which somebody leads.
fn varied(group: &Group<'_>) -> Vec<&'static str> {
    let led = group.scenarios.iter();
    let led = led.filter(|scenario| !matches!(scenario.lead, Lead::Undecided(_)));
    let infos: Vec<&Scenario> = led.filter_map(|scenario| scenario.info).collect();
    let differ = |are_alike: fn(&Scenario, &Scenario) -> bool| {
        let mut pairs = infos.windows(2);
        pairs.any(|pair| !are_alike(pair[0], pair[1]))
    };
    let axes = [
        ("frame size", differ(|one, other| one.frame == other.frame)),
        (
            "number of flows",
            differ(|one, other| one.flows == other.flows),
        ),
        (
            "role of a droplet",
            differ(|one, other| one.topology == other.topology),
        ),
    ];
    let varied = axes.into_iter().filter(|(_, is_varied)| *is_varied);
    varied.map(|(name, _)| name).collect()
}
