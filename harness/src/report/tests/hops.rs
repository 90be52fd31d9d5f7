//! Overlays of several droplets: what each did, and what the direct path gives.

use super::fixture::{self, SCENARIOS};
use super::{lines, written};
use crate::overlay::Ages;
use crate::record::{Hop, OverlayDroplet, OverlayInfo, Record};
use crate::report::figures::Figures;
use crate::report::{RunFolder, summary_json};
use topologies::topology::DirectPathState;

/// The first two scenarios are one topology without the direct path and with it, by a middle droplet and past it.
fn overlay() -> RunFolder {
    let mut folder = fixture::run();
    let ids = [
        "bounce/64B/1-flow/direct-path-off",
        "bounce/64B/1-flow/direct-path-on",
    ];
    let states = [DirectPathState::Cold, DirectPathState::Warm];
    for (scenario, (id, state)) in folder.run.scenarios.iter_mut().zip(ids.iter().zip(states)) {
        scenario.id = (*id).to_owned();
        let droplet = |name: &str, stage| OverlayDroplet {
            name: name.to_owned(),
            datapath: (stage == 1).then(|| "other".to_owned()),
            stage,
        };
        let way = match state {
            DirectPathState::Cold => vec![0, 2, 1],
            DirectPathState::Warm => vec![0, 1],
        };
        scenario.overlay = Some(OverlayInfo {
            droplets: vec![
                droplet("left", 0),
                droplet("right", 4),
                droplet("bouncer", 1),
            ],
            ways: vec![way],
        });
        scenario.direct_path = Some(state);
    }
    for record in &mut folder.records {
        let scenario = match record {
            Record::Verification(it) => &mut it.scenario,
            Record::Trial(it) => &mut it.scenario,
            Record::Result(it) => &mut it.scenario,
            Record::Failure(it) => &mut it.scenario,
            Record::Event(it) => &mut it.scenario,
            Record::Learning(it) => &mut it.scenario,
            Record::Round(it) => &mut it.scenario,
        };
        let Some(number) = SCENARIOS.iter().take(2).position(|id| id == scenario) else {
            continue;
        };
        scenario.clear();
        scenario.push_str(ids[number]);
        if let Record::Trial(trial) = record {
            let hop = |droplet: &str, packets: u64, nanoseconds: u64| Hop {
                droplet: droplet.to_owned(),
                arrived: packets * trial.received,
                cpu_ns: nanoseconds * trial.received,
                ages: Ages {
                    sum_ns: packets * trial.received * 12_500,
                    frames: packets * trial.received,
                },
            };
            let by_bouncer = 1 - number as u64;
            trial.hops = vec![
                hop("left", 0, 200),
                hop("right", 1, 100),
                hop("bouncer", by_bouncer, 150 * by_bouncer),
            ];
        }
    }
    folder
}

#[test]
fn droplets_have_their_packets_and_their_time() {
    let (html, markdown, _) = written(&overlay());
    let head = lines(
        &markdown,
        &["| Datapath |", "| left | bouncer | right | All |"],
    );
    assert_eq!(head.len(), 2, "{markdown}");
    assert!(!lines(&markdown, &["| kernel-xdp |", "| 200 | 150 | 100 | 450 |"]).is_empty());
    assert!(!lines(&markdown, &["| kernel-xdp |", "| 0.000 | 1.000 | 1.000 |"]).is_empty());
    assert!(!lines(&markdown, &["| kernel-xdp |", "| 200 | 0 | 100 | 300 |"]).is_empty());
    assert!(!lines(&markdown, &["| kernel-xdp |", "| 0.000 | 0.000 | 1.000 |"]).is_empty());
    assert!(html.contains("processor time of each droplet"));
    let (_, without, _) = written(&fixture::run());
    assert!(!without.contains("each droplet") && !without.contains("direct path and with it"));
}

#[test]
fn how_old_frames_are_at_each_droplet_is_told() {
    let folder = overlay();
    let (html, markdown, _) = written(&folder);
    assert!(html.contains("until it reached each droplet, at 50 % of PDR"));
    let rows = lines(&markdown, &["| kernel-xdp | – | 12.5 | 12.5 |"]);
    assert_eq!(rows.len(), 1, "{markdown}");
    // Rows are at different loads, which are told.
    assert!(markdown.contains("| Endpoint | Load, Mpps |"), "{markdown}");
    let json = summary_json(&folder);
    let cell = &json["port_groups"][0]["scenarios"][0]["datapaths"][0];
    let droplets = &cell["mean_age_at_droplets_ns"];
    assert_eq!(droplets[0]["mean_ns"], serde_json::Value::Null);
    assert_eq!(droplets[1]["mean_ns"], 12_500.0);
}

#[test]
fn the_direct_path_is_compared_with_its_absence() {
    let folder = overlay();
    let (_, markdown, _) = written(&folder);
    let captions = lines(&markdown, &["without the direct path and with it"]);
    assert_eq!(captions.len(), 1, "{markdown}");
    assert!(captions[0].contains("bounce/64B/1-flow:"));
    let json = summary_json(&folder);
    let scenarios = &json["port_groups"][0]["scenarios"];
    let rate = |at: usize| {
        scenarios[at]["datapaths"][0]["pdr"]["throughput_fps"]
            .as_f64()
            .unwrap()
    };
    let times = format!("| {:.2} |", rate(1) / rate(0));
    assert!(
        !lines(&markdown, &["| kernel-xdp |", &times]).is_empty(),
        "{times}"
    );
    let bound = |at: usize, name: &str| {
        let pdr = &scenarios[at]["datapaths"][0]["pdr"];
        pdr[name].as_f64().unwrap()
    };
    let least = bound(1, "lower_fps") / bound(0, "upper_fps");
    let most = bound(1, "upper_fps") / bound(0, "lower_fps");
    let bounds = format!("| \\[{least:.2}, {most:.2}\\] |");
    assert!(
        !lines(&markdown, &["| kernel-xdp |", &bounds]).is_empty(),
        "{bounds}"
    );
    let droplets = &scenarios[0]["datapaths"][0]["droplets"]["droplets"];
    assert_eq!(droplets[2]["droplet"], "bouncer");
    assert_eq!(droplets[2]["cpu_ns_per_frame"], 150.0);
    assert_eq!(droplets[2]["arrived_per_frame"], 1.0);
}

#[test]
fn the_way_of_the_packets_is_drawn_and_told() {
    let (html, markdown, _) = written(&overlay());
    let off = "The way of the packets: bounce/64B/1-flow/direct-path-off: packets go by left, bouncer, right.";
    let on = "The way of the packets: bounce/64B/1-flow/direct-path-on: packets go by left, right.";
    for words in [off, on] {
        assert!(markdown.contains(words), "{markdown}");
        assert!(html.contains(&format!("aria-label=\"{words}\"")));
    }
    // One that no packet comes by says so instead.
    assert_eq!(html.matches("no packet comes by").count(), 1);
    let (_, without, _) = written(&fixture::run());
    assert!(!without.contains("The way of the packets"));
}

/// Who has other ports than overlays are made of is said to be left out, and not to be missing.
#[test]
fn who_cannot_be_a_droplet_is_not_missed() {
    let mut folder = overlay();
    folder.run.scenarios.truncate(2);
    let is_of_both = |record: &Record| {
        let (datapath, scenario) = crate::report::figures::place(record);
        scenario.starts_with("bounce") && datapath != "mizar-dpdk"
    };
    folder.records.retain(is_of_both);
    let mut other = folder.run.datapaths[0].clone();
    other.name = "mizar-dpdk".to_owned();
    other.ports = datapath_api::PortType::VhostUser;
    folder.run.datapaths.push(other);
    let (_, markdown, _) = written(&folder);
    assert!(
        markdown.contains("Overlays were not measured with mizar-dpdk:"),
        "{markdown}"
    );
    assert!(!markdown.contains("Measured on vhost-user"), "{markdown}");
    assert!(!markdown.contains("has no result"), "{markdown}");
}

/// Of one that polls nothing says how busy it was; but where another carries far more by the same underlay, that was not what was
/// full.
#[test]
fn who_polls_in_an_overlay_may_be_faster_unless_others_are_far_ahead() {
    let lead = |polled: f64| {
        let mut folder = overlay();
        for info in &mut folder.run.datapaths {
            info.polls_busily = info.name == "openflow";
        }
        let id = folder.run.scenarios[0].id.clone();
        let rates = [("kernel-xdp", 1.2e6), ("openflow", polled)];
        fixture::compare(&mut folder, &id, &rates, ranking::STAGES[0]);
        Figures::of(&folder).groups[0].scenarios[0].lead.words()
    };
    assert_eq!(lead(0.6e6), "not decided: openflow tester-bound");
    assert!(
        lead(0.2e6).starts_with("kernel-xdp, 6.0"),
        "{}",
        lead(0.2e6)
    );
}
