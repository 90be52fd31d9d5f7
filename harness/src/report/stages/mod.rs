//! The report on stages: one page, Markdown, and a table for the terminal. All are derived from `stages.jsonl`.

mod figures;
#[cfg(test)]
mod tests;

use super::document::{Block, Line, Table, plain};
pub use super::saved::Error;
use super::saved::save;
use super::terminal::Output;
use super::{html, markdown, text, units};
use crate::stages::record::{Recorded, Way};
use datapath_api::{Decision, Stage};
use figures::{Column, Figures, LiveColumn};
use ranking::MedianInterval;
use std::path::{Path, PathBuf};

/// The files of a report on stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The Markdown.
    pub markdown: PathBuf,
}

/// How the figures came about, for who reads the document alone.
const METHOD: [&str; 7] = [
    "Programs that go one stage further than others get the same frame, again and again, and what a stage costs is the \
     difference in each round: the median over the rounds, with the interval that holds it with a probability of 95 percent or \
     more (that of the sign test). A difference whose interval goes below zero is not told from none.",
    "A program that ends at a stage has to keep what it found there, and one that goes on need not: a stage that adds little can \
     seem to cost some nanoseconds less than nothing.",
    "It is always the same frame, so that all that is looked up lies in the processor's caches: the least that a stage costs.",
    "XDP: compiled for the kernel's machine, in its test loop for live frames, which hands batches of 64 to a program as a driver \
     does. Native: the same source, in a loop of this program. In either the first row is the loop and a program that drops the \
     frame at once, so it is no part of the code.",
    "Sending is done by XDP programs alone: to a veth device whose other end drops the frame on another processor. The thread \
     there has to be woken where it has nothing to do, which is most of what sending costs then; a busy one need not be.",
    "Of an established flow one frame of 256 is decided about by all tables, as in the datapath; in XDP programs that one goes no \
     further. A full decision is entered among established flows; what it costs to look for one there in vain, and to go on in \
     another program, is not in it.",
    "Cycles are those of the time stamp counter, which runs at one rate: a processor that runs faster or slower than that at the \
     moment does more or fewer of its own.",
];

/// Writes the report on the run in `folder` into it, in place of an earlier one.
///
/// # Errors
/// Where the run cannot be read or the report not be written.
pub fn write(folder: &Path) -> Result<Written, Error> {
    let recorded = Recorded::read(folder)?;
    let figures = Figures::of(&recorded);
    let document = document(&figures);
    Ok(Written {
        html: save(folder.join("stages.html"), &html::page(TITLE, &document)?)?,
        markdown: save(folder.join("stages.md"), &markdown::page(&document)?)?,
    })
}

/// The title of the document.
const TITLE: &str = "What a frame costs, stage by stage";

/// The figures of the run in `folder` for a terminal.
///
/// # Errors
/// Where the run cannot be read.
pub fn terminal_table(folder: &Path) -> Result<String, Error> {
    Ok(terminal(&Figures::of(&Recorded::read(folder)?)))
}

/// The header and the figures as JSON; times in nanoseconds.
///
/// # Errors
/// Where the run cannot be read.
pub fn summary_json(folder: &Path) -> Result<serde_json::Value, Error> {
    let recorded = Recorded::read(folder)?;
    let figures = Figures::of(&recorded);
    let column = |column: &Column<'_>| {
        let stage = |(stage, cost): &(Stage, MedianInterval)| serde_json::json!({"stage": stage, "added_ns": cost});
        serde_json::json!({
            "datapath": column.datapath,
            "way": column.way,
            "decision": column.decision,
            "stages": column.stages.iter().map(stage).collect::<Vec<_>>(),
            "code_ns": column.code,
        })
    };
    let live = |live: &LiveColumn<'_>| {
        serde_json::json!({
            "datapath": live.datapath,
            "null_forward_ns": live.null,
            "datapath_ns": live.whole,
            "difference_ns": live.code,
        })
    };
    Ok(serde_json::json!({
        "header": recorded.header,
        "columns": figures.columns.iter().map(column).collect::<Vec<_>>(),
        "live": figures.live.iter().map(live).collect::<Vec<_>>(),
        "failed": figures.failed,
    }))
}

fn document(figures: &Figures<'_>) -> Vec<Block<'static>> {
    let header = &figures.recorded.header;
    let mut blocks = vec![Block::Heading(1, TITLE.to_owned())];
    for warning in warnings(figures) {
        blocks.push(Block::Notice(plain(warning)));
    }
    blocks.push(Block::Paragraph(plain(format!(
        "A droplet of topology {}, inner frames of {} bytes, {}. {}, {}.",
        header.topology,
        header.frame_bytes,
        text::count(u64::from(header.rounds), "round", "rounds"),
        text::machine(&header.environment),
        header.started,
    ))));
    blocks.push(Block::List(METHOD.iter().map(|it| plain(*it)).collect()));
    for way in Way::ALL {
        blocks.push(Block::Heading(2, heading(way).to_owned()));
        for decision in Decision::ALL {
            blocks.push(Block::Table(table(figures, way, decision)));
        }
    }
    if !figures.live.is_empty() {
        blocks.push(Block::Heading(2, "Live: what the hook costs".to_owned()));
        blocks.push(Block::Paragraph(plain(format!(
            "Processor time of a frame in the threads that receive, at {} frames a second both ways together. A null forward \
             redirects and does nothing else: it is the hook, the devices and sending. What a datapath takes beyond that is its \
             code, with all that it makes slower around it.",
            units::fixed(header.live_load, 0)
        ))));
        blocks.push(Block::Table(live(figures)));
    }
    blocks.push(Block::Paragraph(plain("To repeat the run:")));
    let command = text::without_folder(&header.command);
    blocks.push(Block::Command(text::shell(&command)));
    blocks
}

fn heading(way: Way) -> &'static str {
    match way {
        Way::Leaving => "A frame leaves an endpoint",
        Way::Arriving => "A frame arrives for an endpoint",
    }
}

/// What a stage is called, by what is done in it.
fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Hook => "loop, and a program that drops",
        Stage::Parse => "reading headers",
        Stage::Policy => "policy: connection tracking",
        Stage::Lookup => "looking up where it goes",
        Stage::Headers => "writing or stripping headers",
        Stage::Redirect => "sending",
    }
}

fn table(figures: &Figures<'_>, way: Way, decision: Decision) -> Table {
    let columns = figures.of_way(way, decision);
    let rate = figures.recorded.header.cycles_per_ns;
    let names = columns.iter().flat_map(|column| {
        let name = column.datapath;
        [format!("#{name}, ns"), format!("#{name}, TSC cycles")]
    });
    let titles: Vec<String> = ["Stage".to_owned()].into_iter().chain(names).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut table = Table::new(format!("{}, {decision}", heading(way)), &titles);
    let cells = |of: &dyn Fn(&Column<'_>) -> Option<MedianInterval>| -> Vec<Line> {
        let each = columns.iter().flat_map(|column| {
            let cost = of(column);
            let cycles = cost.zip(rate).map(|(cost, rate)| scaled(cost, rate));
            [shown(cost, 1), shown(cycles, 0)]
        });
        each.map(plain).collect()
    };
    for stage in Stage::ALL {
        let of = |column: &Column<'_>| {
            let mut stages = column.stages.iter();
            stages
                .find(|(known, _)| *known == stage)
                .map(|(_, cost)| *cost)
        };
        if columns.iter().any(|column| of(column).is_some()) {
            let row = [plain(stage_words(stage))].into_iter();
            table.row(row.chain(cells(&of)).collect());
        }
    }
    let row = [plain("code: all between loop and sending")].into_iter();
    table.summary(row.chain(cells(&|column| column.code)).collect());
    table
}

fn live(figures: &Figures<'_>) -> Table {
    let mut table = Table::new(
        "Processor time of a frame, live",
        &[
            "Datapath",
            "#Null forward, ns",
            "#Datapath, ns",
            "#Difference, ns",
        ],
    );
    for live in &figures.live {
        table.row(vec![
            plain(live.datapath),
            plain(shown(Some(live.null), 0)),
            plain(shown(Some(live.whole), 0)),
            plain(shown(Some(live.code), 0)),
        ]);
    }
    table
}

fn scaled(cost: MedianInterval, by: f64) -> MedianInterval {
    MedianInterval {
        median: cost.median * by,
        from: cost.from * by,
        to: cost.to * by,
    }
}

/// A figure and its interval.
fn shown(cost: Option<MedianInterval>, decimals: usize) -> String {
    cost.map_or_else(
        || units::NONE.to_owned(),
        |cost| {
            let [median, from, to] =
                [cost.median, cost.from, cost.to].map(|it| units::fixed(it, decimals));
            format!("{median} [{from}, {to}]")
        },
    )
}

fn warnings(figures: &Figures<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = figures
        .failed
        .iter()
        .map(|(datapath, reason)| format!("{datapath} failed: {reason}"))
        .collect();
    let environment = &figures.recorded.header.environment;
    if !environment.is_optimised() {
        warnings.push(format!(
            "the program was not optimised ({}): every figure is worthless; start it through cargo",
            environment.build
        ));
    }
    if figures.recorded.damage != Default::default() {
        warnings.push("the file is damaged; what could be read is here".to_owned());
    }
    if figures.left_out > 0 {
        let trials = text::count(figures.left_out as u64, "live trial", "live trials");
        warnings.push(format!(
            "{trials} disturbed, or with more than a frame of a thousand lost: those rounds are in no figure"
        ));
    }
    warnings.extend(figures.apart.iter().cloned());
    if figures.columns.is_empty() {
        warnings.push("too few rounds for a figure: six are needed".to_owned());
    }
    warnings
}

fn terminal(figures: &Figures<'_>) -> String {
    let mut out = Output::default();
    for warning in warnings(figures) {
        out.wrapped("warning: ", &warning);
    }
    for way in Way::ALL {
        for decision in Decision::ALL {
            out.wrapped("", &format!("{}, {decision}:", heading(way)));
            for column in figures.of_way(way, decision) {
                let stages = column.stages.iter();
                let stages =
                    stages.map(|(stage, cost)| format!("{stage} {}", shown(Some(*cost), 1)));
                let stages: Vec<_> = stages.collect();
                let lead = format!("  {:<14} ", column.datapath);
                let code = shown(column.code, 1);
                out.wrapped(&lead, &format!("{} ns; code {code} ns", stages.join(", ")));
            }
        }
    }
    for live in &figures.live {
        out.wrapped(
            "",
            &format!(
                "Live: a null forward takes {} ns of a frame, {} {} ns",
                shown(Some(live.null), 0),
                live.datapath,
                shown(Some(live.whole), 0)
            ),
        );
    }
    out.0
}

/// What code costs natively and as an XDP program, and what the hook costs, in a few sentences of Markdown.
pub(crate) fn summary(recorded: &Recorded) -> String {
    let figures = Figures::of(recorded);
    let mut out = String::new();
    for way in Way::ALL {
        let columns = figures.of_way(way, Decision::Established);
        let code = columns.iter().map(|column| {
            let code = shown(column.code, 1);
            format!("{code} ns in `{}`", column.datapath)
        });
        let code: Vec<_> = code.collect();
        out.push_str(&format!(
            "- {}, of an established flow: the code takes {}.\n",
            heading(way),
            text::list(&code)
        ));
    }
    for live in &figures.live {
        let is_told = live.code.from > 0.0 || live.code.to < 0.0;
        out.push_str(&format!(
            "- Live, at {} frames a second, a null forward (the hook, the devices and sending) takes {} ns of a frame, and `{}` {} ns: \
             a difference of {} ns{}. So few frames wake the thread that receives now and then, which costs more than a frame \
             does where it is busy throughout.\n",
            units::fixed(recorded.header.live_load, 0),
            shown(Some(live.null), 0),
            live.datapath,
            shown(Some(live.whole), 0),
            shown(Some(live.code), 0),
            if is_told { "" } else { ", not told from none" }
        ));
    }
    out.push('\n');
    out
}
