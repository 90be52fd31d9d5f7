//! The pictures of the report, drawn by plotters as SVG.

mod axes;
mod bars;
mod canvas;
mod events;
pub(super) mod flow_setup;
mod latency;
mod legend;
mod loss;
mod overlay;
mod overview;
mod palette;
pub(super) mod sockets;

use super::cell::Cell;
use super::events::of as figures_of_events;
use super::figures::{Figures, Group, ScenarioFigures};
use super::{text, units};
use crate::record::{PortType, Rate};

use canvas::{DrawError, Heading};

use bars::{Bar, BarBlock, Fill, Row};
use legend::Sample;

/// A picture cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture {picture}")]
pub struct PlotError {
    /// The picture's file name, without ending.
    pub picture: String,
    /// Why.
    #[source]
    source: Box<DrawError>,
}

/// A finished picture.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// File name without ending.
    pub file: String,
    /// What it is, in a few words.
    pub title: String,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// How to read it.
    pub caption: String,
    /// The SVG.
    pub svg: String,
}

/// The pictures of one port group.
#[derive(Default)]
pub(super) struct GroupPictures {
    /// Throughput, split where it would be too long for a page.
    pub throughput: Vec<Picture>,
    /// Processor time, split likewise.
    pub cpu: Vec<Picture>,
    /// Loss and latency of each scenario, in the order of the group's scenarios.
    pub scenarios: Vec<Vec<Picture>>,
}

/// The pictures of a run.
pub(super) struct Pictures {
    /// What datapaths carry, where they were measured against each other.
    pub overview: Option<Picture>,
    /// Those of each port group.
    pub groups: Vec<GroupPictures>,
}

impl Pictures {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Picture> {
        let groups = self.groups.iter().flat_map(GroupPictures::all);
        self.overview.iter().chain(groups)
    }
}

/// Draws all pictures.
pub(super) fn draw(figures: &Figures<'_>) -> Result<Pictures, PlotError> {
    let caution = if figures.is_smoke() {
        "smoke: too short for conclusions"
    } else {
        ""
    };
    let groups = figures
        .groups
        .iter()
        .map(|group| {
            let mut used = Vec::new();
            Ok(GroupPictures {
                throughput: throughput(group, caution)?,
                cpu: cpu(group, caution)?,
                scenarios: group
                    .scenarios
                    .iter()
                    .map(|scenario| of_scenario(group.ports, scenario, caution, &mut used))
                    .collect::<Result<_, _>>()?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Pictures {
        overview: overview::draw(figures, caution)?,
        groups,
    })
}

/// Puts the file's name to an error.
fn named(picture: &str) -> impl FnOnce(DrawError) -> PlotError {
    let picture = picture.to_owned();
    |source| PlotError {
        picture,
        source: Box::new(source),
    }
}

/// Throughput of all scenarios.
fn throughput(group: &Group<'_>, caution: &str) -> Result<Vec<Picture>, PlotError> {
    let bar = |cell: &Cell<'_>, rate: Option<&Rate>, name: &str, fill: Fill| {
        let value = rate.and_then(|rate| rate.throughput);
        let interval = rate.and_then(|rate| Some((rate.lower?, rate.upper?)));
        let mega = |rate: f64| rate / 1e6;
        let mut words = match (cell.absence(), rate) {
            (Some(absence), _) => absence.to_owned(),
            (None, None) => format!("{name} not searched"),
            (None, Some(rate)) => format!(
                "{name} {} {}",
                units::mpps_or_none(rate.throughput),
                units::interval(rate.lower, rate.upper)
            ),
        };
        if let Some(doubt) = cell.doubt().filter(|_| rate.is_some()) {
            words.push_str(&format!(" {doubt}"));
        } else if rate.is_some_and(|rate| rate.irregular.is_some()) {
            words.push_str(" irregular");
        } else if name == "PDR" && cell.is_tester_bound() {
            words.push_str(" tester-bound");
        }
        Bar {
            value: value.map(mega),
            interval: interval.map(|(lower, upper)| (mega(lower), mega(upper))),
            fill: if cell.doubt().is_some() {
                Fill::Hollow
            } else {
                fill
            },
            words,
        }
    };
    let row = |cell: &Cell<'_>| Row {
        name: cell.datapath.to_owned(),
        index: cell.index,
        bars: match cell.absence() {
            Some(_) => vec![bar(cell, None, "", Fill::Solid)],
            None => vec![
                bar(cell, cell.ndr(), "NDR", Fill::Hatched),
                bar(cell, cell.pdr(), "PDR", Fill::Solid),
            ],
        },
        limit: cell.ceiling().map(|ceiling| ceiling / 1e6),
    };
    let mut legend = vec![
        (Sample::Hatched, "NDR".to_owned()),
        (Sample::Solid, "PDR".to_owned()),
        (Sample::Whisker, "[lower, upper] bound".to_owned()),
        (Sample::Limit, "tester's ceiling".to_owned()),
    ];
    if has_doubt(group) {
        legend.push((Sample::Hollow, "unverified: do not use".to_owned()));
    }
    let kind = Kind {
        stem: "throughput",
        title: format!("Throughput on {} ports", group.ports),
        axis: "throughput, Mpps",
        figures: 330,
        caption: format!(
            "Bars: throughput in Mpps by scenario and datapath on {} ports. Beside each: the figure with its interval. A PDR bar that reaches the tester's ceiling says how fast the tester is, not the datapath.",
            group.ports
        ),
    };
    bar_pictures(group, &kind, legend, caution, row)
}

/// Processor time of all scenarios.
fn cpu(group: &Group<'_>, caution: &str) -> Result<Vec<Picture>, PlotError> {
    let row = |cell: &Cell<'_>| {
        let value = cell.fastest().map(|fastest| fastest.cpu_ns_per_frame);
        let words = match (cell.absence(), value) {
            (Some(absence), _) => absence.to_owned(),
            (None, None) => "not measured".to_owned(),
            (None, Some(value)) => {
                let doubt = cell.doubt().map(|doubt| format!(" {doubt}"));
                let polls = if cell.polls_busily() {
                    " busy-polling"
                } else {
                    ""
                };
                format!(
                    "{} ns{polls}{}",
                    units::nanos(value),
                    doubt.unwrap_or_default()
                )
            }
        };
        Row {
            name: cell.datapath.to_owned(),
            index: cell.index,
            bars: vec![Bar {
                value,
                interval: None,
                fill: if cell.doubt().is_some() {
                    Fill::Hollow
                } else {
                    Fill::Solid
                },
                words,
            }],
            limit: None,
        }
    };
    let mut legend = vec![(Sample::Solid, "processor time per frame".to_owned())];
    if has_doubt(group) {
        legend.push((Sample::Hollow, "unverified: do not use".to_owned()));
    }
    let kind = Kind {
        stem: "cpu",
        title: format!("Processor time on {} ports", group.ports),
        axis: "processor time of the datapath per frame, ns",
        figures: 240,
        caption: format!(
            "Bars: processor time of the datapath per frame, at the highest load it forwarded within PDR's loss, on {} ports; less is better.",
            group.ports
        ),
    };
    bar_pictures(group, &kind, legend, caution, row)
}

/// What a picture of bars shows.
struct Kind {
    stem: &'static str,
    title: String,
    axis: &'static str,
    /// Pixels for the figures beside the bars.
    figures: i32,
    caption: String,
}

/// Whether any figure of `group` cannot be trusted.
fn has_doubt(group: &Group<'_>) -> bool {
    let mut cells = group.scenarios.iter().flat_map(|scenario| &scenario.cells);
    cells.any(|cell| cell.result.is_some() && cell.doubt().is_some())
}

/// Draws bars for all scenarios; nothing where there is no result at all.
fn bar_pictures<'a>(
    group: &Group<'a>,
    kind: &Kind,
    legend: Vec<(Sample, String)>,
    caution: &str,
    row: impl Fn(&Cell<'a>) -> Row,
) -> Result<Vec<Picture>, PlotError> {
    let blocks: Vec<_> = group
        .scenarios
        .iter()
        .map(|scenario| BarBlock {
            title: scenario.id.to_owned(),
            rows: scenario.cells.iter().map(&row).collect(),
        })
        .collect();
    let rows = || blocks.iter().flat_map(|block| &block.rows);
    if !rows().any(|row| row.bars.iter().any(|bar| bar.value.is_some())) {
        return Ok(Vec::new());
    }
    // One scale for all parts, so that bars can be compared across them.
    let axis = bars::axis(&blocks, kind.axis);
    let pages = bars::pages(blocks);
    let count = pages.len();
    pages
        .into_iter()
        .enumerate()
        .map(|(number, blocks)| {
            let mut file = format!("{}-{}", kind.stem, group.ports);
            let mut title = kind.title.clone();
            if number > 0 {
                file.push_str(&format!("-{}", number + 1));
            }
            if count > 1 {
                title.push_str(&format!(", part {} of {count}", number + 1));
            }
            let description = describe_bars(&title, kind.axis, &blocks);
            let heading = Heading {
                title: &title,
                caution,
                description: &description,
            };
            let svg = bars::draw(&blocks, &axis, kind.figures, legend.clone(), &heading);
            Ok(Picture {
                svg: svg.map_err(named(&file))?,
                file,
                title,
                description,
                caption: kind.caption.clone(),
            })
        })
        .collect()
}

/// The figures of bars in words.
fn describe_bars(title: &str, axis: &str, blocks: &[BarBlock]) -> String {
    let mut out = format!("{title} ({axis}).");
    for block in blocks {
        out.push_str(&format!(" {}:", block.title));
        for row in &block.rows {
            let words: Vec<_> = row.bars.iter().map(|bar| bar.words.as_str()).collect();
            out.push_str(&format!(" {} {};", row.name, words.join(", ")));
        }
    }
    out
}

/// Loss and latency of one scenario, as far as there are trials.
fn of_scenario(
    ports: PortType,
    scenario: &ScenarioFigures<'_>,
    caution: &str,
    used: &mut Vec<String>,
) -> Result<Vec<Picture>, PlotError> {
    let mut slug = text::slug(scenario.id);
    while slug.is_empty() || used.contains(&slug) {
        slug = format!("{slug}-{}", used.len() + 1);
        slug = text::slug(&slug);
    }
    used.push(slug.clone());
    let name = |cell: &Cell<'_>| match cell.doubt() {
        Some(doubt) => format!("{} ({doubt})", text::shorten(cell.datapath, 40)),
        None => text::shorten(cell.datapath, 40),
    };
    let mut pictures = Vec::new();
    if let Some(overlay) = scenario.info.and_then(|info| info.overlay.as_ref()) {
        let file = format!("overlay-{ports}-{slug}");
        let title = format!("The way of the packets: {}", scenario.id);
        let description = format!("{title}: {}.", overlay::words(overlay));
        let heading = Heading {
            title: &title,
            caution: "",
            description: &description,
        };
        let svg = overlay::draw(overlay, &heading).map_err(named(&file))?;
        pictures.push(Picture {
            file,
            title,
            description,
            caption: "Each arrow between droplets crosses the underlay.".to_owned(),
            svg,
        });
    }
    pictures.extend(of_events(ports, scenario, caution, &slug, &name)?);
    let series: Vec<_> = scenario
        .cells
        .iter()
        .filter(|cell| !cell.losses.is_empty())
        .map(|cell| loss::Series {
            name: name(cell),
            look: palette::look(cell.index),
            hollow: cell.doubt().is_some(),
            points: &cell.losses,
        })
        .collect();
    if !series.is_empty() {
        let file = format!("loss-{ports}-{slug}");
        let title = format!("Loss over offered load: {}, {ports} ports", scenario.id);
        let names: Vec<_> = series.iter().map(|series| series.name.as_str()).collect();
        let description = format!(
            "{title}: loss ratio of each search trial of {} over the offered load in Mpps.",
            text::list(&names)
        );
        let heading = Heading {
            title: &title,
            caution,
            description: &description,
        };
        let svg = loss::draw(&series, &goals(scenario), &heading).map_err(named(&file))?;
        pictures.push(Picture {
            file,
            title,
            description,
            caption: "Each mark is one trial of the rate search, its short first steps included; lines join the means at each load. On the bottom line no frame was lost. Disturbed trials are left out.".to_owned(),
            svg,
        });
    }
    let curves: Vec<_> = scenario
        .cells
        .iter()
        .flat_map(|cell| cell.latencies.iter().map(move |figure| (cell, figure)))
        .map(|(cell, figure)| latency::Curve {
            name: name(cell),
            look: palette::look(cell.index),
            hollow: cell.doubt().is_some(),
            percent_of_pdr: figure.percent_of_pdr,
            points: figure.curve(),
        })
        .collect();
    let file = format!("latency-{ports}-{slug}");
    let title = format!("Latency: {}, {ports} ports", scenario.id);
    let description = format!(
        "{title}: latency percentiles from the median to the 99.99th in microseconds, a panel for each share of the datapath's own PDR. The table above has the figures."
    );
    let heading = Heading {
        title: &title,
        caution,
        description: &description,
    };
    let svg = latency::draw(&curves, &heading).map_err(named(&file))?;
    pictures.extend(svg.map(|svg| Picture {
        file,
        title,
        description,
        caption: "Latency from the intended send time. Each share is of the datapath's own PDR, so datapaths are under different loads in one panel. Curves end where fewer than 10 frames lie above; lost frames are in no curve.".to_owned(),
        svg,
    }));
    Ok(pictures)
}

/// Throughput and loss through each event of a scenario; of several trials the first one.
fn of_events<'a>(
    ports: PortType,
    scenario: &ScenarioFigures<'a>,
    caution: &str,
    slug: &str,
    name: &dyn Fn(&Cell<'a>) -> String,
) -> Result<Vec<Picture>, PlotError> {
    let mut by_event: Vec<(&str, Vec<events::Panel<'_>>)> = Vec::new();
    for cell in &scenario.cells {
        for event in figures_of_events(cell) {
            let Some(record) = event.records.first() else {
                continue;
            };
            let panel = events::Panel {
                name: match event.is_extended() {
                    true => format!("{}, {}", name(cell), event.droplets()),
                    false => name(cell),
                },
                record,
            };
            match by_event
                .iter_mut()
                .find(|(known, _)| *known == event.description)
            {
                Some((_, panels)) => panels.push(panel),
                None => by_event.push((event.description, vec![panel])),
            }
        }
    }
    let draw = |(number, (description, panels)): (usize, (&str, Vec<events::Panel<'_>>))| {
        let file = format!("event-{ports}-{slug}-{}", number + 1);
        let title = format!("{}: {description}", scenario.id);
        let told = format!(
            "{title}: how many frames were delivered and how many lost, by when they were due."
        );
        let heading = Heading {
            title: &title,
            caution,
            description: &told,
        };
        let svg = events::draw(&panels, &heading).map_err(named(&file))?;
        Ok(Picture {
            file,
            title,
            description: told,
            caption: "A panel for each datapath and sort of droplets, as high as its load: what was delivered of it, and above what was lost, by when it was due; any loss is drawn at least two pixels high. Of several trials the first.".to_owned(),
            svg,
        })
    };
    by_event.into_iter().enumerate().map(draw).collect()
}

/// Loss ratios the goals of a scenario allow, each once.
fn goals(scenario: &ScenarioFigures<'_>) -> Vec<(String, f64)> {
    let mut goals: Vec<(String, f64)> = Vec::new();
    for (name, rate) in scenario
        .cells
        .iter()
        .flat_map(|cell| [("NDR", cell.ndr()), ("PDR", cell.pdr())])
    {
        if let Some(rate) = rate
            && goals.iter().all(|(_, loss)| *loss != rate.loss_ratio)
        {
            goals.push((name.to_owned(), rate.loss_ratio));
        }
    }
    goals
}

impl GroupPictures {
    /// All of them.
    fn all(&self) -> impl Iterator<Item = &Picture> {
        let scenarios = self.scenarios.iter().flatten();
        self.throughput.iter().chain(&self.cpu).chain(scenarios)
    }
}
