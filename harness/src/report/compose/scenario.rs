//! One port group: processor time, then each scenario with its tables and pictures.

use crate::record::PortType;
use crate::report::cell::{Cell, Check};
use crate::report::document::{Block, Row, Span, Table, plain};
use crate::report::figures::{Figures, Group, ScenarioFigures};
use crate::report::plots::{GroupPictures, Picture};
use crate::report::{text, units};

use super::{cells, events, hops, inside, learning, standing};

/// Adds everything about `group`, but for the first picture of throughput if that stands at the top of the page.
pub(super) fn add_group<'a>(
    out: &mut Vec<Block<'a>>,
    figures: &Figures<'_>,
    group: &Group<'_>,
    pictures: &'a GroupPictures,
    is_at_the_top: bool,
) {
    let smoke = if figures.is_smoke() {
        " (smoke: too short for conclusions)"
    } else {
        ""
    };
    out.push(Block::Heading(
        2,
        format!("Measured on {} ports{smoke}", group.ports),
    ));
    if figures.groups.len() > 1 {
        out.push(Block::Notice(plain(format!(
            "This part is about {} ports only ({}). Its figures must not be compared directly with those of other ports.",
            group.ports,
            text::list(&group.datapaths)
        ))));
    }
    if group.ports == PortType::VhostUser {
        out.push(Block::Paragraph(plain(
            "Verification compares every byte on these ports too, with the corpus of each topology, but for the golden vectors, which go by veth alone. What is refused and what goes to the host's stack look alike here: nothing comes out. Under load the tester checks inner headers.",
        )));
    }
    let at_the_top = usize::from(is_at_the_top);
    out.extend(
        pictures
            .throughput
            .iter()
            .skip(at_the_top)
            .map(Block::Figure),
    );
    out.extend(pictures.cpu.iter().map(Block::Figure));
    let direct_path = hops::direct_path(group);
    if !direct_path.is_empty() {
        out.push(Block::Heading(3, "What the direct path gives".to_owned()));
        out.extend(direct_path.into_iter().map(Block::Table));
    }
    for (number, scenario) in group.scenarios.iter().enumerate() {
        let pictures = pictures
            .scenarios
            .get(number)
            .map_or(&[][..], Vec::as_slice);
        add(out, group, scenario, pictures);
    }
}

/// Adds one scenario.
fn add<'a>(
    out: &mut Vec<Block<'a>>,
    group: &Group<'_>,
    scenario: &ScenarioFigures<'_>,
    pictures: &'a [Picture],
) {
    out.push(Block::Heading(
        3,
        format!("{}, {} ports", scenario.id, group.ports),
    ));
    if let Some(info) = scenario.info {
        let frame = match info.frame.parse::<u64>() {
            Ok(bytes) => format!("{} with FCS", text::count(bytes, "byte", "bytes")),
            Err(_) => info.frame.clone(),
        };
        let lists = info.rules.map_or_else(String::new, |rules| {
            format!(
                ", access lists of {}, which all but the first packet of a flow are seldom held against",
                text::count(rules.into(), "rule", "rules")
            )
        });
        out.push(Block::Paragraph(plain(format!(
            "{} ({}). {}, {} of {}, inner frames: {frame}{lists}.",
            info.summary.trim_end_matches('.'),
            info.topology,
            text::count(info.endpoints.into(), "endpoint", "endpoints"),
            text::count(info.flows.into(), "flow", "flows"),
            info.transport,
        ))));
    }
    if scenario.cells.iter().all(Cell::is_empty) {
        out.push(Block::Paragraph(plain("Nothing was measured here.")));
        return;
    }
    let (through_events, pictures): (Vec<_>, Vec<_>) = pictures
        .iter()
        .partition(|picture| picture.file.starts_with("event-"));
    let (overlay, pictures): (Vec<_>, Vec<_>) = pictures
        .into_iter()
        .partition(|picture| picture.file.starts_with("overlay-"));
    out.extend(overlay.into_iter().map(Block::Figure));
    out.push(Block::Paragraph(vec![
        Span::Text("Most in this run: ".to_owned()),
        Span::Strong(scenario.lead.words()),
        Span::Text(".".to_owned()),
    ]));
    standing::add(out, scenario);
    out.push(Block::Table(throughput(scenario)));
    out.extend(processor_time(scenario).map(Block::Table));
    if let Some(table) = inside::table(scenario) {
        out.push(Block::Table(table));
        out.push(Block::Paragraph(plain(
            "Shares are those of all lookups in a cache; a packet is looked up again after a tunnel header was taken off. An upcall is a lookup that no cache answered, and goes to the slow path; one that failed lost its packet, or left no flow behind. Lost to the controller: packets that were to be asked about, for which the switch's queue was full. Cycles are those of rounds that found packets, of threads that poll; they go on while such a thread waits for its processor.",
        )));
    }
    let droplets = hops::tables(scenario);
    if !droplets.is_empty() {
        out.extend(droplets.into_iter().map(Block::Table));
        out.push(Block::Paragraph(plain(
            "Frames go from endpoint to endpoint. All droplets share the datapath's processor here, so that a rate is that of all together; the time of a droplet is that of its own threads, which share the processor's caches with all others, and holds what a switch's threads do without any packet as well. What enters by an endpoint port was brought by no underlay.",
        )));
    }
    if let Some(ages) = hops::ages(scenario) {
        out.push(Block::Table(ages));
        out.push(Block::Paragraph(plain(
            "The underlay reads in each frame when it was due. From one column to the next on the way of the packets is what a droplet takes, with its queue and the way to the next one; the last is what the tester's endpoint sees, whose mean is taken from a histogram. Means are moved by few frames that are very late. Each datapath has half of its own PDR to carry, the last column: rows are at different loads, and each is one trial.",
        )));
    }
    learning::add(out, scenario);
    events::add(out, scenario);
    out.extend(through_events.into_iter().map(Block::Figure));
    differences(out, scenario);
    out.extend(refused(scenario).map(Block::Table));
    let (loss, latency): (Vec<_>, Vec<_>) = pictures
        .into_iter()
        .partition(|picture| picture.file.starts_with("loss-"));
    out.extend(loss.into_iter().map(Block::Figure));
    if let Some(table) = latencies(scenario) {
        let uncertain = scenario
            .cells
            .iter()
            .flat_map(|cell| &cell.latencies)
            .any(|figure| figure.p999.uncertain);
        out.push(Block::Table(table));
        if uncertain {
            out.push(Block::Paragraph(plain(
                "~ marks a percentile above which fewer than 10 frames lie: another trial may give another value.",
            )));
        }
    }
    out.extend(latency.into_iter().map(Block::Figure));
}

/// Rates, processor time and checks.
fn throughput(scenario: &ScenarioFigures<'_>) -> Table {
    let has_rounds = scenario.cells.iter().any(|cell| !cell.rounds.is_empty());
    let mut titles = vec![
        "Datapath",
        "#NDR, Mpps [lower, upper]",
        "#PDR, Mpps [lower, upper]",
        "#Tester's ceiling, Mpps",
        "#PDR of ceiling",
        "Verification",
        "#Disturbed trials, repeated",
    ];
    if has_rounds {
        titles.insert(3, "#In a typical round, Mpps [interval]");
    }
    let mut table = Table::new(format!("{}: throughput", scenario.id), &titles);
    for cell in &scenario.cells {
        let [ceiling, share] = cells::ceiling(cell);
        let mut row = vec![
            plain(cell.datapath),
            cells::rate(cell, cell.ndr()),
            cells::pdr(cell),
            ceiling,
            share,
            cells::check(cell),
            plain(units::integer(cell.repeated)),
        ];
        if has_rounds {
            let rounds = cell.typical_rate();
            let rounds = rounds.map_or_else(cells::none, |rounds| cells::figure(cell, rounds));
            row.insert(3, rounds);
        }
        table.rows.push(Row {
            cells: row,
            doubtful: cell.result.is_some() && cell.doubt().is_some(),
        });
    }
    table
}

/// What the datapath's processor did in the fastest trial.
fn processor_time(scenario: &ScenarioFigures<'_>) -> Option<Table> {
    let mut table = Table::new(
        format!(
            "{}: processor time of the datapath, in its fastest trial within PDR's loss",
            scenario.id
        ),
        &[
            "Datapath",
            "#Rate of that trial, Mpps",
            "#Its processor, busy",
            "#ns per frame",
            "#ns per frame of a null forward",
            "#Cycles per frame",
            "#Processor taken while idle",
        ],
    );
    for cell in scenario
        .cells
        .iter()
        .filter(|cell| cell.fastest().is_some())
    {
        let [rate, busy, ns, null, cycles] = cells::fastest(cell);
        table.rows.push(Row {
            cells: vec![
                plain(cell.datapath),
                rate,
                busy,
                ns,
                null,
                cycles,
                cells::idle(cell),
            ],
            doubtful: cell.doubt().is_some(),
        });
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What verification found, and what failed.
fn differences(out: &mut Vec<Block<'_>>, scenario: &ScenarioFigures<'_>) {
    let mut items = Vec::new();
    for cell in &scenario.cells {
        if let Check::Failed(_, differing) = &cell.check {
            items.extend(differing.iter().map(|difference| {
                vec![
                    Span::Strong(cell.datapath.to_owned()),
                    Span::Text(format!(" differs from the oracle: {difference}")),
                ]
            }));
        }
        items.extend(cell.failures.iter().map(|failure| {
            vec![
                Span::Strong(cell.datapath.to_owned()),
                Span::Text(format!(" failed: {}", failure.reason)),
            ]
        }));
    }
    if !items.is_empty() {
        out.push(Block::List(items));
    }
}

/// Frames refused, by reason.
fn refused(scenario: &ScenarioFigures<'_>) -> Option<Table> {
    let mut table = Table::new(
        format!(
            "{}: frames refused, over all trials that count and after which the datapath was asked",
            scenario.id
        ),
        &["Datapath", "Reason", "#Frames", "#Of frames sent"],
    );
    for cell in &scenario.cells {
        let sent = cell
            .trials
            .iter()
            .filter(|trial| trial.counters.is_some())
            .fold(0_u128, |sum, trial| sum + u128::from(trial.offered));
        for (reason, count) in &cell.refused {
            let share = if sent > 0 {
                units::loss(*count as f64 / sent as f64)
            } else {
                units::NONE.to_owned()
            };
            table.row(vec![
                plain(cell.datapath),
                plain(*reason),
                cells::figure(cell, units::integer(*count)),
                cells::figure(cell, share),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Latency at each share of PDR.
fn latencies(scenario: &ScenarioFigures<'_>) -> Option<Table> {
    let mut table = Table::new(
        format!(
            "{}: latency in µs, from the intended send time",
            scenario.id
        ),
        &[
            "Datapath",
            "#Load, of its PDR",
            "#Load, Mpps",
            "#Frames",
            "#Lost",
            "#p50",
            "#p90",
            "#p99",
            "#p99.9",
            "#Maximum",
        ],
    );
    for cell in &scenario.cells {
        for figure in &cell.latencies {
            table.rows.push(Row {
                cells: vec![
                    plain(cell.datapath),
                    plain(format!("{} %", figure.percent_of_pdr)),
                    cells::figure(cell, units::mpps(figure.load)),
                    plain(units::integer(figure.count)),
                    cells::figure(cell, units::loss(figure.loss)),
                    cells::percentile(cell, figure.p50),
                    cells::percentile(cell, figure.p90),
                    cells::percentile(cell, figure.p99),
                    cells::percentile(cell, figure.p999),
                    cells::figure(cell, units::micros(figure.max_ns)),
                ],
                doubtful: cell.doubt().is_some(),
            });
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
