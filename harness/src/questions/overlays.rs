//! Overlays, compared in two ways that packets may go.

use super::facts::{Facts, Told, ceiling, of, p99, rate, table, told};
use super::{OVERLAYS, not_measured};
use crate::record::PortType;
use crate::report::apart::Apart;

/// A topology, and the state of its direct path, as its scenario is named.
type Way = (&'static str, &'static str);

/// What datapaths carry in the first way and in the second, each with a title.
pub(super) fn compared(facts: &Facts<'_>, titles: [&str; 2], ways: [Way; 2]) -> String {
    let scenarios = facts.scenarios(PortType::Veth);
    let found = ways.map(|(topology, state)| {
        scenarios.iter().find(|scenario| {
            scenario.info.is_some_and(|info| info.topology == topology)
                && scenario.id.contains(state)
        })
    });
    let [Some(one), Some(other)] = found else {
        return not_measured(OVERLAYS);
    };
    let are_alike = Apart::can_be_compared(one.apart, other.apart);
    let changes: Vec<Told> = one
        .cells
        .iter()
        .map(|cell| match are_alike {
            true => told(of(other, cell.datapath), Some(cell)),
            false => Told::Not,
        })
        .collect();
    let rows = one.cells.iter().zip(&changes).map(|(cell, change)| {
        let there = of(other, cell.datapath);
        vec![
            cell.datapath.to_owned(),
            rate(Some(cell)),
            rate(there),
            change.words(),
            p99(Some(cell)),
            p99(there),
        ]
    });
    let [first, second] = titles;
    let columns = [
        "Datapath".to_owned(),
        format!("{first}, Mpps"),
        second.to_owned(),
        "times".to_owned(),
        format!("p99 {first}, µs"),
        second.to_owned(),
    ];
    let rows: Vec<_> = rows.collect();
    let [ceiling_of_one, ceiling_of_other] = [one, other].map(|it| ceiling(it));
    let mut out = format!(
        "{}\n\n{}The tester gets {ceiling_of_one} Mpps through a null forward {first}, and {ceiling_of_other} {second}; the underlay between droplets, \
         which shares the tester's processor, is not in that.\n\n",
        summary(&changes, second),
        table(&columns, &rows)
    );
    if let (Some(one), Some(other), false) = (one.apart, other.apart, are_alike) {
        out.push_str(&format!(
            "**Do not compare both:** a cache line took {:.0} ns between the processors {first}, and {:.0} ns {second}.\n\n",
            one.round_trip_ns, other.round_trip_ns
        ));
    }
    out
}

/// What changes, in a sentence.
fn summary(changes: &[Told], second: &str) -> String {
    let told = |is_more: bool| {
        let ratios = changes.iter().filter_map(|change| change.ratio());
        let mut ratios: Vec<f64> = ratios.filter(|it| (*it > 1.0) == is_more).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    let mut parts = Vec::new();
    for (ratios, words) in [(told(true), "more"), (told(false), "less")] {
        match ratios.as_slice() {
            [] => {}
            [only] => parts.push(format!("1 carries {words}, {only:.2} times as much")),
            [least, .., most] => parts.push(format!(
                "{} carry {words}, {least:.2} to {most:.2} times as much",
                ratios.len()
            )),
        }
    }
    let open = changes.iter().filter(|it| it.ratio().is_none()).count();
    if open > 0 {
        parts.push(format!("of {open} it cannot be told"));
    }
    format!(
        "Of {} datapaths, {second}: {}. (Ratios of Hodges and Lehmann with Mann and Whitney's intervals, 95 percent, each for itself: both ways were \
         measured one after the other, and not in turns, so that what the machine did meanwhile is in them. ≥ and ≤: the tester may have set one of both rates. Not told: the tester, or for what \
         polls the underlay, may have set both rates, or the one that decides.)",
        changes.len(),
        parts.join("; ")
    )
}
