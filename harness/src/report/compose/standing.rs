//! How the datapaths of a scenario compare with each other.

use crate::report::document::{Block, Column, Line, Row, Span, Table, plain};
use crate::report::figures::ScenarioFigures;
use crate::report::standing::{Pair, Standing};
use crate::report::{text, units};
use ranking::Verdict;

/// Adds it, where they were measured against each other.
pub(super) fn add(out: &mut Vec<Block<'_>>, scenario: &ScenarioFigures<'_>) {
    let Some(standing) = &scenario.standing else {
        return;
    };
    out.push(Block::Table(table(scenario.id, standing)));
    let tolerance = units::percent(standing.how.tolerance.get());
    let confidence = units::percent(1.0 - standing.how.error);
    out.push(Block::Paragraph(plain(format!(
        "The rate of the row's datapath over that of the column's, measured against each other in interleaved rounds of a short search each: the typical ratio, its interval, and what follows from it. Equivalent means that neither is faster by more than {tolerance}. Pairs were measured until they were decided, 32 rounds were made, or the time for it was over. All verdicts of this table are right together with a confidence of {confidence}; RANKING.md has the method and what it assumes."
    ))));
    if let Some(apart) = scenario.apart {
        let elsewhere = match apart.elsewhere {
            0 => String::new(),
            count => format!(
                " {} of other rounds at another distance {} how steady figures are, and nothing of these ratios: a hypervisor moves virtual processors, and what is handed from one to the other then costs up to twice as much.",
                text::count(count as u64, "figure", "figures"),
                if count == 1 { "says" } else { "say" },
            ),
        };
        out.push(Block::Paragraph(plain(format!(
            "In these rounds a cache line took {} ns from the datapath's processor to the tester's and back.{elsewhere}",
            units::fixed(apart.round_trip_ns, 0)
        ))));
    }
}

/// A row for each but the last, a column for each but the first.
fn table(id: &str, standing: &Standing<'_>) -> Table {
    let names = standing.contestants.as_slice();
    let mut table = Table::new(format!("{id}: measured against each other"), &["Datapath"]);
    for name in names.iter().skip(1) {
        let column = Column {
            title: format!("over {name}"),
            numeric: true,
        };
        table.columns.push(column);
    }
    for (place, name) in names.iter().enumerate().take(names.len().saturating_sub(1)) {
        let mut cells = vec![plain(*name)];
        for (other_place, other) in names.iter().enumerate().skip(1) {
            let pair = (other_place > place).then(|| standing.pair(name, other));
            cells.push(
                pair.flatten()
                    .map_or_else(|| plain(""), |pair| words(&pair)),
            );
        }
        table.rows.push(Row {
            cells,
            doubtful: false,
        });
    }
    table
}

/// A pair as the first of the two sees it.
fn words(pair: &Pair<'_>) -> Line {
    let Some(interval) = pair.interval else {
        let rounds = text::count(pair.rounds as u64, "round", "rounds");
        return vec![Span::Text(format!("undecided: {rounds} are too few"))];
    };
    let ratio = format!("{:.2}", interval.ratio);
    let range = format!(" [{:.2}, {:.2}]", interval.lower, interval.upper);
    let mut line = match pair.verdict {
        Verdict::Faster | Verdict::Slower => vec![Span::Strong(ratio), Span::Text(range)],
        Verdict::Equivalent | Verdict::Undecided => vec![Span::Text(ratio + &range)],
    };
    let rounds = text::count(pair.rounds as u64, "round", "rounds");
    line.push(Span::Note(format!("{}, {rounds}", pair.verdict)));
    let elsewhere = pair.elsewhere.and(pair.round_trip_ns);
    line.extend(
        elsewhere.map(|it| Span::Mark(format!("with processors {} ns apart", units::fixed(it, 0)))),
    );
    line.extend(pair.doubt.map(|doubt| Span::Mark(doubt.words())));
    line
}
