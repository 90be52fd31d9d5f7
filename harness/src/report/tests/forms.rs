//! The forms of the report: what stands where.

use super::fixture::{self, SCENARIOS};
use super::{lines, without_script, written};
use crate::record::{Failure, Record};
use crate::report::{RunFolder, summary_json, terminal_table};

/// Places of `parts` in `text`, which must all be there, in this order.
fn assert_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let found = text[from..].find(part);
        assert!(found.is_some(), "{part} is missing or too early");
        from += found.unwrap() + part.len();
    }
}

#[test]
fn the_answer_comes_first() {
    let (html, markdown, _) = written(&fixture::run());
    assert_order(
        &html,
        &[
            "<html lang=\"en\">",
            "<h1 id=\"which-datapath-forwards-the-most-overlay-frames\"><a href=\"#which-datapath-forwards-the-most-overlay-frames\">Which datapath",
            "<li>On veth ports <strong>kernel-xdp</strong> carries most",
            "What would change it",
            "<figure>",
            "role=\"img\" aria-label=\"Throughput",
            "<caption>",
            "Mpps with intervals",
            "scope=\"col\"",
            "scope=\"row\"",
            "\">Warnings",
            "\">Skipped",
            "\">Failures: 1",
            "\">encap/64B/1-flow",
            "throughput</span></caption>",
            "\">vtep",
            "\">Environment",
            "AMD EPYC",
            "\">Method",
            "<strong>NDR and PDR",
            "\">Trials",
            "for latency",
            "\">Repeat",
            "seed is 42",
            "--profile quick --seed 42",
        ],
    );
    assert_order(
        &markdown,
        &[
            "# Which datapath",
            "plots/throughput-veth.svg",
            "## Warnings",
            "### encap",
            "## Environment",
            "## Method",
        ],
    );
}

#[test]
fn the_page_needs_nothing_else() {
    let (html, _, plots) = written(&fixture::two_port_groups());
    // But for the script that is known, and for links within the page.
    let html = without_script(&html).replace("href=\"#", "");
    for outside in ["<script", "<link", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!without_namespace.contains("http"));
    // A picture of throughput and one of processor time for each group, two for each scenario and group.
    assert_eq!(plots.len(), 2 * (2 + 2 * SCENARIOS.len()));
    assert!(
        plots
            .iter()
            .all(|svg| svg.contains("<text ") && svg.contains("sans-serif"))
    );
    assert!(plots.iter().all(|svg| html.contains(svg)));
}

/// What each `before` of the page's is followed by, up to a quote.
fn each<'a>(html: &'a str, before: &'a str) -> Vec<&'a str> {
    let parts = html.split(before).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

#[test]
fn links_lead_to_headings_that_there_are_once() {
    let (html, _, _) = written(&fixture::two_port_groups());
    let page = html.split("<svg").next().unwrap_or_default().to_owned()
        + &html
            .split("</svg>")
            .skip(1)
            .map(|it| it.split("<svg").next().unwrap_or_default())
            .collect::<String>();
    let (links, ids) = (each(&page, "href=\"#"), each(&page, " id=\""));
    assert!(links.len() > 10 && ids.len() > 10, "{links:?}");
    for link in &links {
        assert_eq!(ids.iter().filter(|id| id == &link).count(), 1, "{link}");
    }
    // A scenario stands on ports of both kinds.
    let has = |link: &str| assert!(links.contains(&link), "{links:?}");
    has("encap-64b-1-flow-veth-ports");
    has("encap-64b-1-flow-rings-ports");
}

#[test]
fn port_groups_are_apart() {
    let folder = fixture::two_port_groups();
    let (html, markdown, plots) = written(&folder);
    assert_order(
        &html,
        &[
            "must not be compared directly",
            "veth ports: Mpps",
            "rings ports: Mpps",
            "\">Measured on veth",
            "\">Measured on rings",
        ],
    );
    let tables: Vec<_> = markdown
        .split("\n\n")
        .filter(|block| block.contains("| Datapath | encap/"))
        .collect();
    assert_eq!(tables.len(), 2);
    assert!(tables[0].contains("| kernel-xdp |") && !tables[0].contains("| reference |"));
    assert!(tables[1].contains("| reference |") && !tables[1].contains("| kernel-xdp |"));
    for svg in &plots {
        assert!(!(svg.contains("kernel-xdp") && svg.contains("reference")));
    }
    let table = terminal_table(&folder);
    assert_eq!(table.matches("Not to be compared directly").count(), 2);
    let json = summary_json(&folder);
    let ports: Vec<_> = (0..2)
        .map(|group| json["port_groups"][group]["ports"].clone())
        .collect();
    assert_eq!(ports, ["veth", "rings"]);
    let one = terminal_table(&fixture::run());
    assert!(!one.contains("Not to be compared"));
}

#[test]
fn datapaths_on_native_ports_stand_together_and_variants_apart() {
    let (html, markdown, _) = written(&fixture::native_and_variant());
    assert_order(
        &html,
        &[
            "Each on the ports that it is made for",
            "Nothing is ranked here",
            "veth ports: Mpps",
            "vhost-user ports: Mpps",
        ],
    );
    let native = markdown
        .split("\n\n")
        .find(|block| block.contains("| Datapath | Ports |"))
        .unwrap();
    for row in [
        "| kernel-xdp | veth |",
        "| mizar-dpdk | vhost-user |",
        "| the tester's ceiling | veth | 1.950",
        "| the tester's ceiling | vhost-user | 12.0",
    ] {
        assert!(native.contains(row), "{row} in {native}");
    }
    assert!(!native.contains("mizar-dpdk-veth"));
    assert!(!native.contains("Most in this run"));
    let same = markdown
        .split("\n\n")
        .find(|block| block.contains("| Datapath | encap/"))
        .unwrap();
    assert!(same.contains("| mizar-dpdk-veth |") && !same.contains("| mizar-dpdk |"));
    // What rounds with frames took, and what is taken while there are none.
    assert!(!lines(&markdown, &["| mizar-dpdk |", "| 250", "| 100 %"]).is_empty());
    assert!(html.contains("compares every byte on these ports too"));
    let (one_kind, _, _) = written(&fixture::run());
    assert!(!one_kind.contains("on these ports too"));
    assert!(!one_kind.contains("made for"));
}

#[test]
fn skipped_datapaths_and_failures_are_listed() {
    let folder = fixture::run();
    let (html, markdown, _) = written(&folder);
    let json = summary_json(&folder);
    let (command, reason) = (
        "sysctl -w vm.nr_hugepages=512",
        "ovs-vswitchd exited with status 1",
    );
    assert!(
        html.contains(&format!("<code>{command}</code>"))
            && markdown.contains(&format!("` {command} `"))
    );
    for text in [&html, &markdown, &terminal_table(&folder)] {
        assert!(text.contains("huge pages (0 of 512)") && text.contains(reason));
    }
    assert_eq!(json["skipped"][0]["missing"][0]["remedy"], command);
    assert_eq!(json["failures"].as_array().unwrap().len(), 1);
    let row = lines(&markdown, &["| openflow |", "| failed |"])[0];
    assert_eq!(row.matches("| failed").count(), 1);
    assert!(
        html.contains("no-such-endpoint") && terminal_table(&folder).contains("no-such-endpoint")
    );
}

#[test]
fn a_smoke_run_is_labelled_everywhere() {
    let mut folder = fixture::run();
    folder.run.profile = "smoke".to_owned();
    let (html, markdown, plots) = written(&folder);
    let label = "smoke: too short for conclusions";
    assert_order(
        &html,
        &[
            "<h1 ",
            label,
            "<svg",
            label,
            "<table>",
            label,
            "\">Warnings",
            label,
        ],
    );
    for text in plots.iter().chain([&markdown, &terminal_table(&folder)]) {
        assert!(text.contains(label));
    }
    assert_eq!(summary_json(&folder)["too_short_for_conclusions"], true);
}

#[test]
fn warnings_come_first_in_the_terminal() {
    let table = terminal_table(&fixture::two_port_groups());
    assert_order(
        &table,
        &[
            "warning: The datapaths were measured on different ports",
            "skipped: ovs-dpdk",
            "failed:  openflow",
            "veth ports",
            "kernel-xdp",
            "rings ports",
        ],
    );
    assert!(
        table
            .lines()
            .all(|line| crate::report::text::width(line) <= 100)
    );
}

#[test]
fn names_are_whole_in_the_terminal_and_figures_keep_their_columns() {
    for name in ["openflow-reactive", "kernel-xdp-generic"] {
        let mut folder = fixture::run();
        for record in &mut folder.records {
            let (Record::Result(crate::record::ResultRecord { datapath, .. })
            | Record::Trial(crate::record::TrialRecord { datapath, .. })
            | Record::Failure(Failure { datapath, .. })
            | Record::Event(crate::record::EventRecord { datapath, .. })
            | Record::Learning(crate::record::LearningRecord { datapath, .. })
            | Record::Round(crate::record::RoundRecord { datapath, .. })
            | Record::Verification(crate::record::Verification { datapath, .. })) = record;
            if datapath == "kernel-xdp" {
                *datapath = name.to_owned();
            }
        }
        for info in &mut folder.run.datapaths {
            if info.name == "kernel-xdp" {
                info.name = name.to_owned();
            }
        }
        let (before, after) = (terminal_table(&fixture::run()), terminal_table(&folder));
        assert_eq!(
            lines(&after, &[&format!("  {name}")]).len(),
            SCENARIOS.len()
        );
        for line in lines(&before, &["  kernel-xdp  "]) {
            let figures = line.replace("kernel-xdp", "          ");
            assert!(after.lines().any(|line| line == figures), "{after}");
        }
    }
}

#[test]
fn marks_of_long_figures_do_not_widen_a_row() {
    let mut folder = fixture::run();
    for record in &mut folder.records {
        match record {
            Record::Result(result) => {
                result.unverified = true;
                result.ceiling = Some(24_999.0);
                for rate in &mut result.rates {
                    (rate.lower, rate.upper) = (Some(24_900.0), Some(26_200.0));
                    rate.throughput = rate.lower;
                    rate.irregular = Some("it ended early".to_owned());
                }
                if let Some(fastest) = &mut result.fastest {
                    fastest.cpu_ns_per_frame = 1_234_567.0;
                }
            }
            Record::Trial(trial) => {
                if let Some(latency) = &mut trial.latency {
                    latency.p99_ns = 3_999_999_999;
                }
            }
            _ => {}
        }
    }
    let table = terminal_table(&folder);
    assert!(table.contains("~0.0249 [0.0249, 0.0262]!"), "{table}");
    for line in table.lines() {
        assert!(crate::report::text::width(line) <= 100, "{line}");
    }
}

/// A report on `folder` in all forms; none has a figure.
fn without_figures(folder: &RunFolder) -> [String; 3] {
    let (html, markdown, plots) = written(folder);
    assert!(plots.is_empty());
    assert!(html.contains("there is no answer") && markdown.contains("there is no answer"));
    summary_json(folder);
    [html, markdown, terminal_table(folder)]
}

#[test]
fn a_run_without_results_has_a_report() {
    for text in without_figures(&fixture::empty()) {
        assert!(text.contains("not measured") && text.contains("nothing was measured"));
    }
    let mut nothing = fixture::empty();
    nothing.run.datapaths.clear();
    nothing.run.scenarios.clear();
    without_figures(&nothing);
    let mut skipped = fixture::empty();
    skipped.run.datapaths.remove(0);
    skipped.run.datapaths.remove(0);
    for text in without_figures(&skipped) {
        assert!(text.contains("vm.nr"));
    }
}

#[test]
fn a_run_of_failures_has_a_report() {
    let mut folder = fixture::empty();
    for (datapath, scenario) in [("kernel-xdp", SCENARIOS[0]), ("openflow", "all")] {
        folder.records.push(Record::Failure(Failure {
            datapath: datapath.to_owned(),
            scenario: scenario.to_owned(),
            reason: "it broke; mend it".to_owned(),
        }));
    }
    let [html, markdown, table] = without_figures(&folder);
    assert!(html.contains("\">Failures: 2</a></h2>"));
    assert_eq!(
        lines(&markdown, &["| kernel-xdp | failed | not measured | not"]).len(),
        1
    );
    // What belongs to no scenario belongs to all.
    assert_eq!(
        lines(&markdown, &["| openflow | failed | failed | failed |"]).len(),
        1
    );
    assert!(!markdown.contains("| all |"));
    assert_eq!(table.matches("it broke; mend it").count(), 2);
}

#[test]
fn many_scenarios_make_several_pictures() {
    let mut folder = fixture::run();
    let records = folder.records.clone();
    let scenarios = folder.run.scenarios.clone();
    for copy in 0..4 {
        for mut scenario in scenarios.clone() {
            scenario.id.push_str(&format!("/{copy}"));
            folder.run.scenarios.push(scenario);
        }
        for mut record in records.clone() {
            let (Record::Result(crate::record::ResultRecord { scenario, .. })
            | Record::Trial(crate::record::TrialRecord { scenario, .. })
            | Record::Failure(Failure { scenario, .. })
            | Record::Event(crate::record::EventRecord { scenario, .. })
            | Record::Learning(crate::record::LearningRecord { scenario, .. })
            | Record::Round(crate::record::RoundRecord { scenario, .. })
            | Record::Verification(crate::record::Verification { scenario, .. })) = &mut record;
            scenario.push_str(&format!("/{copy}"));
            folder.records.push(record);
        }
    }
    let (html, _, plots) = written(&folder);
    let parts = plots
        .iter()
        .filter(|svg| svg.contains("Throughput on veth ports, part"));
    assert_eq!(parts.count(), 3);
    assert!(plots.iter().all(|svg| html.contains(svg)));
}
