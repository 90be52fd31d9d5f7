//! Text from the run's files that tries to be more than text.

use super::fixture::{self, SCENARIOS};
use super::{without_script, written};
use crate::record::{Failure, Fastest, Missing, Record};
use crate::report::{RunFolder, summary_json, terminal_table};

const HOSTILE: &str = "x\"'><script>alert(1)</script>&amp;|`a``b`|\n# h\n- ![i](http://e/)\u{1b}[31m\u{0}\u{202e}\\ ]]> --> ${x} _*~";

/// A run in which every text is hostile.
fn run() -> RunFolder {
    let mut folder = fixture::two_port_groups();
    let evil = |text: &mut String| text.push_str(HOSTILE);
    for record in &mut folder.records {
        match record {
            Record::Verification(it) => {
                evil(&mut it.datapath);
                evil(&mut it.scenario);
                it.failures.iter_mut().for_each(evil);
            }
            Record::Trial(it) => {
                evil(&mut it.datapath);
                evil(&mut it.scenario);
                let counters = it.counters.iter_mut();
                counters
                    .flat_map(|counters| &mut counters.refused)
                    .for_each(|(reason, _)| evil(reason));
            }
            Record::Result(it) => {
                evil(&mut it.datapath);
                evil(&mut it.scenario);
                it.rates[0].irregular = Some(HOSTILE.to_owned());
            }
            Record::Learning(it) => {
                evil(&mut it.datapath);
                evil(&mut it.scenario);
            }
            Record::Round(it) => {
                evil(&mut it.datapath);
                evil(&mut it.scenario);
            }
            Record::Event(it) => {
                evil(&mut it.datapath);
                evil(&mut it.scenario);
                evil(&mut it.description);
            }
            Record::Failure(Failure {
                datapath,
                scenario,
                reason,
            }) => {
                [datapath, scenario, reason].into_iter().for_each(evil);
            }
        }
    }
    let run = &mut folder.run;
    for datapath in &mut run.datapaths {
        for text in [
            &mut datapath.name,
            &mut datapath.summary,
            &mut datapath.version,
        ] {
            evil(text);
        }
        datapath.declared_differences.iter_mut().for_each(evil);
        for Missing { what, remedy } in &mut datapath.missing {
            [what, remedy].into_iter().for_each(evil);
        }
    }
    for it in &mut run.scenarios {
        for text in [
            &mut it.id,
            &mut it.topology,
            &mut it.summary,
            &mut it.frame,
            &mut it.transport,
        ] {
            evil(text);
        }
    }
    let it = &mut run.environment;
    it.notes.push(HOSTILE.to_owned());
    for text in [
        &mut it.kernel,
        &mut it.system,
        &mut it.cpu_model,
        &mut it.clock_source,
        &mut it.bench_version,
    ] {
        evil(text);
    }
    it.hypervisor = Some(HOSTILE.to_owned());
    it.commit = Some(HOSTILE.to_owned());
    run.started.push_str(HOSTILE);
    run.profile.push_str(HOSTILE);
    run.command.push(HOSTILE.to_owned());
    folder
}

/// Names of the elements in `markup` that are opened, each of which must be known and closed.
fn assert_well_formed(markup: &str, empty: &[&str]) {
    let mut open = Vec::new();
    let mut rest = markup;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').unwrap();
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        assert!(!tag.contains('<'), "{tag}");
        if tag.starts_with('!') || tag.ends_with('/') {
            continue;
        }
        let name = tag
            .trim_start_matches('/')
            .split_whitespace()
            .next()
            .unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !empty.contains(&name) {
            open.push(name);
        }
        // Attribute values are quoted and quotes in them escaped.
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn html_and_pictures_hold_it_as_text() {
    let (html, _, plots) = written(&run());
    let html = without_script(&html);
    assert_well_formed(&html, &["meta"]);
    plots.iter().for_each(|svg| assert_well_formed(svg, &[]));
    for text in plots.iter().chain([&html]) {
        assert!(
            !text.contains("<script") && !text.contains('\u{1b}') && !text.contains('\u{202e}')
        );
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;|"));
}

#[test]
fn markdown_holds_it_as_text() {
    let (_, markdown, _) = written(&run());
    assert!(!markdown.contains('\u{1b}'));
    // Commands stand in code, within fences longer than any in them.
    let fenced: Vec<_> = markdown.split("\n```").collect();
    assert_eq!(fenced.len(), 3, "one block of code");
    let text: Vec<_> = fenced[0]
        .lines()
        .filter(|line| !line.contains("To provide it: ``` "))
        .collect();
    for markup in ["<script", "![i]", " `a`"] {
        assert!(text.iter().all(|line| !line.contains(markup)), "{markup}");
    }
    assert!(text.iter().all(|line| !line.starts_with("# h")));
    // Bars that end cells: as many in each row of a table.
    let bars = |line: &str| {
        line.replace("\\\\", "")
            .replace("\\|", "")
            .matches('|')
            .count()
    };
    let mut expected = None;
    for line in text {
        if line.starts_with('|') {
            let found = bars(line);
            assert_eq!(*expected.get_or_insert(found), found, "{line}");
        } else {
            expected = None;
        }
    }
}

#[test]
fn a_terminal_gets_no_escape_sequences_and_no_wide_lines() {
    let table = terminal_table(&run());
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
    for line in table.lines() {
        assert!(crate::report::text::width(line) <= 100, "{line}");
    }
}

#[test]
fn json_keeps_it_as_it_is() {
    let json = summary_json(&run());
    let name = format!("{}{HOSTILE}", SCENARIOS[0]);
    assert_eq!(json["port_groups"][0]["scenarios"][0]["scenario"], name);
}

#[test]
fn file_names_stay_in_the_folder_and_apart() {
    let mut folder = fixture::run();
    for (number, name) in ["../../etc/passwd", "..", "../..", "/", "../../etc/passwd?"]
        .iter()
        .enumerate()
    {
        let old = SCENARIOS[number];
        folder.run.scenarios[number].id = (*name).to_owned();
        for record in &mut folder.records {
            match record {
                Record::Trial(it) if it.scenario == old => it.scenario = (*name).to_owned(),
                Record::Result(it) if it.scenario == old => it.scenario = (*name).to_owned(),
                _ => {}
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    fixture::save(&folder, dir.path());
    let mut plots = crate::report::write(dir.path()).unwrap().plots;
    let count = plots.len();
    assert!(
        plots
            .iter()
            .all(|path| path.parent() == Some(&dir.path().join("plots")))
    );
    plots.sort();
    plots.dedup();
    assert_eq!(plots.len(), count);
}

#[test]
fn absurd_numbers_do_no_harm() {
    for number in [0.0, -1.0, 1e308, 5e-324] {
        let mut folder = fixture::run();
        for record in &mut folder.records {
            match record {
                Record::Trial(it) => {
                    it.load = number;
                    (it.intended, it.offered) = (0, u64::MAX);
                    if let Some(latency) = &mut it.latency {
                        latency.histogram = vec![(0, u64::MAX), (u64::MAX, u64::MAX)];
                        (latency.p50_ns, latency.max_ns) = (0, u64::MAX);
                    }
                }
                Record::Result(it) => {
                    it.ceiling = Some(number);
                    it.fastest = Some(Fastest {
                        rate: number,
                        cpu_ns_per_frame: number,
                        cycles_per_frame: None,
                        busy: number,
                    });
                    it.rates[0].throughput = Some(number);
                    (it.rates[1].lower, it.rates[1].upper) = (Some(number), Some(-number));
                }
                _ => {}
            }
        }
        let (html, ..) = written(&folder);
        let html = without_script(&html);
        assert!(!html.contains("NaN") && !html.contains("inf,"), "{number}");
        terminal_table(&folder);
        summary_json(&folder);
    }
}
