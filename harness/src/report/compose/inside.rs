//! The table of what switches counted inside.

use crate::record::SwitchCounters;
use crate::report::cell::Cell;
use crate::report::document::{Line, Row, Table, plain};
use crate::report::figures::ScenarioFigures;
use crate::report::telling::Telling;
use crate::report::{inside, units};

use super::cells;

/// One row for each datapath that has such counters.
pub(super) fn table(scenario: &ScenarioFigures<'_>) -> Option<Table> {
    let mut table = Table::new(
        format!(
            "{}: inside the switch, in its fastest trial within PDR's loss",
            scenario.id
        ),
        &[
            "Datapath",
            "#Rate of that trial, Mpps",
            "#Exact match cache (EMC)",
            "#Signature match cache (SMC)",
            "#Megaflows",
            "#Tables looked into, per megaflow hit",
            "#Upcalls",
            "#Of these, failed",
            "#Lost to the controller",
            "#Flows installed",
            "#Masks",
            "#Packets per batch",
            "#Cycles per packet",
        ],
    );
    for cell in &scenario.cells {
        if let Some(inside) = inside::of(cell) {
            table.rows.push(Row {
                cells: row(cell, inside),
                doubtful: cell.doubt().is_some(),
            });
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn row(cell: &Cell<'_>, inside: Telling<'_, &SwitchCounters>) -> Vec<Line> {
    let counted = inside.says;
    let share = |hits: u64| {
        let text = share(hits, counted).map_or_else(|| units::NONE.to_owned(), units::loss);
        cells::figure(cell, text)
    };
    let number = |value: Option<u64>| {
        let text = value.map_or_else(|| units::NONE.to_owned(), units::integer);
        cells::figure(cell, text)
    };
    let decimals = |value: Option<f64>, decimals: usize| {
        let text = value.map(|value| units::fixed(value, decimals));
        cells::figure(cell, text.unwrap_or_else(|| units::NONE.to_owned()))
    };
    vec![
        plain(cell.datapath),
        cells::telling_rate(cell, &inside),
        share(counted.emc_hits),
        share(counted.smc_hits),
        share(counted.megaflow_hits),
        decimals(counted.lookups_per_megaflow_hit, 2),
        number(Some(counted.misses())),
        number(Some(counted.upcalls_failed)),
        number(counted.packet_ins_lost),
        number(counted.flows),
        number(counted.masks),
        decimals(counted.packets_per_batch, 2),
        decimals(counted.cycles_per_packet(), 0),
    ]
}

/// Share of all lookups.
pub(in crate::report) fn share(hits: u64, counted: &SwitchCounters) -> Option<f64> {
    let lookups = counted.lookups();
    (lookups > 0).then(|| hits as f64 / lookups as f64)
}
