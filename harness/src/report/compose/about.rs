//! The end of the page: datapaths, machine, method, trials, and how to repeat the run.

use crate::report::document::{Block, Line, Span, Table, plain};
use crate::report::figures::Figures;
use crate::report::{text, units};

use super::pdr_allowance;

/// Adds it.
pub(super) fn add(out: &mut Vec<Block<'_>>, figures: &Figures<'_>) {
    let run = figures.run;
    if !run.datapaths.is_empty() {
        out.push(Block::Heading(2, "Datapaths".to_owned()));
        out.push(Block::Table(datapaths(figures)));
        out.extend(differences(figures).map(Block::Table));
    }
    out.push(Block::Heading(2, "Environment".to_owned()));
    out.push(Block::Table(environment(figures)));
    out.push(Block::Heading(2, "Method".to_owned()));
    out.push(Block::List(method(figures)));
    out.push(Block::Heading(2, "Trials".to_owned()));
    out.push(Block::Paragraph(plain(trials(figures))));
    out.push(Block::Heading(2, "Repeat this run".to_owned()));
    out.push(Block::Paragraph(plain(format!(
        "The seed is {}; it fixes the order of datapaths and all else that is random. The rates themselves will differ a little.",
        run.seed
    ))));
    out.push(Block::Command(repeat(figures)));
}

/// The command that repeats the run with its seed.
pub(in crate::report) fn repeat(figures: &Figures<'_>) -> String {
    text::repeat(&figures.run.command, figures.run.seed)
}

/// What was compared.
fn datapaths(figures: &Figures<'_>) -> Table {
    let mut table = Table::new(
        "Datapaths asked for",
        &[
            "Datapath",
            "What it is",
            "Version",
            "Ports",
            "While idle",
            "Lawful differences",
        ],
    );
    for datapath in &figures.run.datapaths {
        let differences = if datapath.declared_differences.is_empty() {
            "none".to_owned()
        } else {
            let names = datapath.declared_differences.iter();
            text::list(&names.map(|it| named(it).0).collect::<Vec<_>>())
        };
        let mut name = plain(datapath.name.as_str());
        if !datapath.missing.is_empty() {
            name.push(Span::Mark("skipped".to_owned()));
        }
        table.row(vec![
            name,
            plain(datapath.summary.as_str()),
            plain(datapath.version.as_str()),
            plain(datapath.ports.to_string()),
            plain(if datapath.polls_busily {
                "polls busily"
            } else {
                "sleeps"
            }),
            plain(differences),
        ]);
    }
    table
}

/// A difference's name, and the sentence about it.
fn named(difference: &str) -> (&str, &str) {
    difference.split_once(": ").unwrap_or((difference, ""))
}

/// What the lawful differences mean; `None` where there are none.
fn differences(figures: &Figures<'_>) -> Option<Table> {
    let mut table = Table::new(
        "Lawful differences: where packets may differ from Mizar's, and are not held against it",
        &["Difference", "What it means"],
    );
    let all = figures.run.datapaths.iter();
    let unique: std::collections::BTreeSet<_> = all
        .flat_map(|datapath| &datapath.declared_differences)
        .map(|difference| named(difference))
        .collect();
    for (name, sentence) in &unique {
        table.row(vec![plain(*name), plain(*sentence)]);
    }
    (!unique.is_empty()).then_some(table)
}

/// The machine.
fn environment(figures: &Figures<'_>) -> Table {
    let it = &figures.run.environment;
    let mut table = Table::new("The machine and the program", &["What", "Value"]);
    let mut add = |what: &str, value: Line| table.row(vec![plain(what), value]);
    add("Processor", plain(it.cpu_model.as_str()));
    add("Processors usable", plain(it.cpus.to_string()));
    add("Datapath on processor", plain(it.datapath_cpu.to_string()));
    add(
        "Tester on processor",
        plain(if it.sinks_cpu == it.tester_cpu {
            it.tester_cpu.to_string()
        } else {
            format!("{}, its sinks on {}", it.tester_cpu, it.sinks_cpu)
        }),
    );
    add(
        "Memory",
        plain(format!("{} MiB", units::integer(it.memory_mib))),
    );
    add(
        "Hypervisor",
        plain(it.hypervisor.as_deref().unwrap_or("none")),
    );
    add("System", plain(it.system.as_str()));
    add("Kernel", plain(it.kernel.as_str()));
    add(
        "Clock",
        plain(format!(
            "{}, {} ns to read",
            it.clock_source,
            units::nanos(it.clock_cost_ns)
        )),
    );
    let commit = it.commit.as_ref();
    let commit = commit.map_or_else(String::new, |it| format!(" of commit {it}"));
    add(
        "bench",
        plain(format!(
            "{}{commit}, built as {}",
            it.bench_version, it.build
        )),
    );
    if let Some(container) = &it.container {
        add("Tester in container", plain(container.as_str()));
        add(
            "Network of containers",
            plain(
                "none is measured: between droplets are veth pairs that the tester makes, and no bridge or plugin of a container engine",
            ),
        );
    }
    for home in &it.droplets {
        let container = home.container.as_ref();
        let place = container.map(|name| format!("in container {name}"));
        let place = place.unwrap_or_else(|| "in a process of its own".to_owned());
        add(&format!("Droplet {}", home.droplet), plain(place));
    }
    for note in &it.notes {
        add("Note", plain(note.as_str()));
    }
    table
}

/// What the figures mean.
fn method(figures: &Figures<'_>) -> Vec<Line> {
    let rates = format!(
        "the highest rates found at which no frame and at most {} of the frames are lost, searched for by MLRsearch (RFC 9971). A rate holds when the trials at it stay within that loss for the share of time the goal demands, so with the usual goals a few lossy trials do not fail it. Frames the tester failed to send count as lost. The figure is the conditional throughput: what was forwarded at the lower bound, so with loss allowed it can lie a little below that bound.",
        pdr_allowance(figures)
    );
    [
        ("NDR and PDR", rates.as_str()),
        (
            "[lower, upper]",
            "two offered loads, the highest that held and the lowest that failed. They say how finely the search ended, and not by how much another run may differ.",
        ),
        (
            "Tester's ceiling",
            "what the same tester reaches through a null forward on the same ports. A PDR within 5 % of it is marked tester-bound: the datapath may be faster than the tester could show. Of an overlay it is that of one droplet's ports: the underlay between droplets, which takes time of the tester's processor at every hop, is not in it, and whether it set a figure shows in the datapath's processor alone.",
        ),
        (
            "CPU",
            "processor time of the datapath per frame at the highest load it forwarded within PDR's loss. A datapath that polls busily uses its processor whole at any load; on vhost-user ports, where its polling thread does all of the work and counts the rounds that found frames, the time is of those alone, and so are cycles.",
        ),
        (
            "Latency",
            "from the intended send time, so waiting in the tester counts. Lost frames have none.",
        ),
        (
            "Most in this run",
            "a datapath that is faster than all others by the rounds in which they were measured against each other, or several that are equivalent; where a run has no such rounds, one whose whole PDR interval lies above those of all others. All are verified. Repeat the run before you rely on a small lead.",
        ),
    ]
    .into_iter()
    .map(|(term, meaning)| {
        vec![
            Span::Strong(term.to_owned()),
            Span::Text(format!(": {meaning}")),
        ]
    })
    .collect()
}

/// How many trials there were.
fn trials(figures: &Figures<'_>) -> String {
    let trials = figures.trials;
    format!(
        "{} of {} in all, the last of which ended {} after the run began: {} for the tester's ceiling, {} of the rate search, {} in rounds against each other, {} for latency. Of these {} disturbed and repeated; no picture includes a disturbed trial, and a rate does only where a warning says so.",
        text::count(trials.total, "trial", "trials"),
        units::span(trials.seconds),
        units::span(trials.end),
        units::integer(trials.ceiling),
        units::integer(trials.search),
        units::integer(trials.comparison),
        units::integer(trials.latency),
        if trials.repeated == 1 {
            "1 was".to_owned()
        } else {
            format!("{} were", units::integer(trials.repeated))
        }
    )
}
