//! Flow setup of the datapaths on one kind of port: new flows per second above, first and second packets below.

use super::bars::{self, Bar, BarBlock, Fill};
use super::canvas::{Heading, px, svg};
use super::legend::Sample;
use super::{Picture, PlotError, named};
use crate::record::PortType;
use crate::report::units;

/// Pixels for the figures beside the bars.
const FIGURES: i32 = 330;

/// All datapaths in one step.
pub(in crate::report) struct Block {
    /// The step.
    pub title: String,
    /// The datapaths.
    pub rows: Vec<Row>,
}

/// A datapath in one step.
pub(in crate::report) struct Row {
    /// Its name.
    pub name: String,
    /// Its place in the run.
    pub index: usize,
    /// New flows per second.
    pub rate: Option<f64>,
    /// Their bounds.
    pub bounds: Option<(f64, f64)>,
    /// The tester's ceiling.
    pub ceiling: Option<f64>,
    /// Median latency of first packets, in nanoseconds.
    pub first_ns: Option<u64>,
    /// Median latency of second packets, in nanoseconds.
    pub second_ns: Option<u64>,
    /// Whether something is to be kept in mind.
    pub doubtful: bool,
}

/// Draws `blocks`; `None` if there is no figure at all.
pub(in crate::report) fn draw(
    ports: PortType,
    blocks: Vec<Block>,
    caution: &str,
) -> Result<Option<Picture>, PlotError> {
    let mut rows = blocks.iter().flat_map(|block| &block.rows);
    if !rows.any(|row| row.rate.is_some() || row.first_ns.is_some()) {
        return Ok(None);
    }
    let rates = each(&blocks, |row| bars::Row {
        name: row.name.clone(),
        index: row.index,
        bars: vec![rate_bar(row)],
        limit: row.ceiling.map(|ceiling| ceiling / 1e3),
    });
    let latencies = each(&blocks, |row| bars::Row {
        name: row.name.clone(),
        index: row.index,
        bars: vec![
            latency_bar("first", row.first_ns, Fill::Hatched),
            latency_bar("second", row.second_ns, Fill::Solid),
        ],
        limit: None,
    });
    let file = format!("flow-setup-{ports}");
    let title = format!("Flow setup on {ports} ports");
    let description = format!(
        "{} {}",
        super::describe_bars(&title, "new flows per second, thousands", &rates),
        super::describe_bars("Latency", "median in microseconds", &latencies)
    );
    let heading = Heading {
        title: &title,
        caution,
        description: &description,
    };
    let above = bars::Panel::new(
        &rates,
        bars::axis(&rates, "new flows per second, thousands"),
        FIGURES,
        vec![
            (Sample::Solid, "new flows per second".to_owned()),
            (Sample::Whisker, "[lower, upper] bound".to_owned()),
            (Sample::Limit, "tester's ceiling".to_owned()),
        ],
    );
    let below = bars::Panel::new(
        &latencies,
        bars::axis(&latencies, "median latency, µs"),
        FIGURES,
        vec![
            (Sample::Hatched, "first packet of a flow".to_owned()),
            (Sample::Solid, "second packet".to_owned()),
        ],
    );
    let size = (bars::WIDTH, above.height() + below.height());
    let svg = svg(size, &heading, |_, area| {
        let (top, bottom) = area.split_vertically(px(above.height()));
        above.draw(&top)?;
        below.draw(&bottom)
    })
    .map_err(named(&file))?;
    Ok(Some(Picture {
        file,
        title,
        description,
        caption: "Above: new flows per second with at most 0.5 % loss; a bar that reaches the tester's ceiling says how fast the tester is. Below: median latency of the first and of the second packet of a flow at a low rate. A star: see the notes below the table.".to_owned(),
        svg,
    }))
}

fn each(blocks: &[Block], row: impl Fn(&Row) -> bars::Row) -> Vec<BarBlock> {
    blocks
        .iter()
        .map(|block| BarBlock {
            title: block.title.clone(),
            rows: block.rows.iter().map(&row).collect(),
        })
        .collect()
}

fn rate_bar(row: &Row) -> Bar {
    let kilo = |rate: f64| rate / 1e3;
    let words = match row.rate {
        None => "not available".to_owned(),
        Some(rate) => {
            let star = if row.doubtful { " *" } else { "" };
            let bounds = row.bounds.map_or_else(String::new, |(lower, upper)| {
                let [lower, upper] = [lower, upper].map(|bound| units::fixed(kilo(bound), 1));
                format!(" [{lower}, {upper}]")
            });
            format!("{}{bounds}{star}", units::fixed(kilo(rate), 1))
        }
    };
    Bar {
        value: row.rate.map(kilo),
        interval: row.bounds.map(|(lower, upper)| (kilo(lower), kilo(upper))),
        fill: Fill::Solid,
        words,
    }
}

fn latency_bar(name: &str, ns: Option<u64>, fill: Fill) -> Bar {
    Bar {
        value: ns.map(|ns| ns as f64 / 1e3),
        interval: None,
        fill,
        words: match ns {
            None => format!("{name}: not available"),
            Some(ns) => format!("{name} {} µs", units::micros(ns)),
        },
    }
}
