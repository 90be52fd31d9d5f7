//! How flows found their direct path.

use crate::record::LearningRecord;
use crate::report::cell::Cell;
use crate::report::document::{Block, Row, Table, plain};
use crate::report::events::Spread;
use crate::report::figures::ScenarioFigures;

use super::{cells, events};

/// A detour so near to the end of what was watched may not have been the last one.
const AT_THE_END_MS: f64 = 50.0;

/// What is said where no frame came through, so that none took a detour either.
pub(in crate::report) const NOTHING: &str = "nothing arrived";

/// A table of the scenario, and how to read it.
pub(super) fn add(out: &mut Vec<Block<'_>>, scenario: &ScenarioFigures<'_>) {
    let mut table = Table::new(
        format!(
            "{}: until flows that go both ways take the direct path",
            scenario.id
        ),
        &[
            "Datapath",
            "#Frames per second",
            "#Frames by a detour",
            "#Of so many",
            "#Last packet by a detour after, ms",
            "#Frames lost",
        ],
    );
    for cell in scenario
        .cells
        .iter()
        .filter(|cell| !cell.learning.is_empty())
    {
        table.rows.push(row(cell));
    }
    if table.rows.is_empty() {
        return;
    }
    out.push(Block::Table(table));
    out.push(Block::Paragraph(plain(
        "Droplets that have learned nothing, and a flow in each direction: a droplet learns where an endpoint is hosted from what that sends. A detour is any way from droplet to droplet that is no step of the direct way. Between networks the direct way still crosses the divider. With several trials: median [least, most]; a figure alone is that of one trial.",
    )));
}

fn row(cell: &Cell<'_>) -> Row {
    let trials = cell.learning.len();
    let figure = |of: &dyn Fn(&LearningRecord) -> Option<f64>, decimals| {
        let spread = Spread::of(cell.learning.iter().map(|record| of(record)));
        cells::figure(cell, events::text(spread, trials, decimals))
    };
    Row {
        cells: vec![
            plain(cell.datapath),
            figure(&|record| Some(record.load), 0),
            figure(&|record| Some(record.by_detour as f64), 0),
            figure(&|record| Some(record.offered as f64), 0),
            cells::figure(cell, until(cell)),
            figure(
                &|record| Some(record.offered.saturating_sub(record.received) as f64),
                0,
            ),
        ],
        doubtful: cell.doubt().is_some(),
    }
}

/// After how long no packet went by a detour any more.
pub(in crate::report) fn until(cell: &Cell<'_>) -> String {
    if cell.learning.iter().any(|record| record.received == 0) {
        return NOTHING.to_owned();
    }
    let found = |record: &&LearningRecord| {
        (record.until_ms < record.watched_ms - AT_THE_END_MS).then_some(record.until_ms)
    };
    let spread = Spread::of(cell.learning.iter().map(found));
    match spread {
        Some(_) => events::text(spread, cell.learning.len(), 1),
        None => {
            let watched = cell.learning.iter().map(|record| record.watched_ms);
            format!("not in {:.0}", watched.fold(f64::INFINITY, f64::min))
        }
    }
}
