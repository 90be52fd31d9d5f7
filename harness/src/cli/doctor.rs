//! `bench doctor`.

use super::arguments::Format;
use super::{Outcome, print_json};
use crate::environment::{Placement, describe};
use crate::record::Environment;
use crate::registry;
use datapath_api::Missing;
use serde::Serialize;
use std::process::Command;

#[derive(Serialize)]
struct Diagnosis {
    environment: Environment,
    datapaths: Vec<Finding>,
    advice: Vec<String>,
}

#[derive(Serialize)]
struct Finding {
    name: &'static str,
    can_run: bool,
    missing: Vec<Missing>,
}

/// Where the kernel says whether bridges hand packets to iptables.
const BRIDGES: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// What this machine does to frames on bridges, if anything.
fn filtered_bridges() -> Option<String> {
    let setting = std::fs::read_to_string(BRIDGES).ok()?;
    let rules = Command::new("iptables").args(["-S", "FORWARD"]).output();
    let rules = rules.map(|rules| String::from_utf8_lossy(&rules.stdout).into_owned());
    filtered(&setting, &rules.unwrap_or_default())
}

/// Said where frames on bridges go through rules for routing, which Docker sets so that most are lost. The bench has no
/// bridge, but its user may. From what [`BRIDGES`] holds, and what `iptables -S FORWARD` prints.
fn filtered(setting: &str, rules: &str) -> Option<String> {
    let dropped = match rules.starts_with("-P FORWARD DROP") {
        true => ", and those are dropped that no rule lets through",
        false => "",
    };
    (setting.trim() == "1").then(|| {
        format!(
            "bridges hand IPv4 packets to iptables (net.bridge.bridge-nf-call-iptables){dropped}: that is no underlay; \
             the bench does not use one"
        )
    })
}

pub fn run(format: Format) -> anyhow::Result<Outcome> {
    let placement = Placement::choose()?;
    let environment = describe(placement);
    let mut advice = Vec::new();
    if placement.is_shared() {
        advice.push(
            "only one processor may be used: datapath and tester share it, and figures are of both \
             together; allow two"
                .to_owned(),
        );
    }
    if environment.hypervisor.is_some() {
        advice.push(
            "this is a virtual machine: other tenants disturb; trials that were disturbed are \
             repeated and counted in the report"
                .to_owned(),
        );
    }
    if environment.build != "optimised" {
        advice
            .push("this program was built with runtime checks: its figures are too low".to_owned());
    }
    advice.extend(filtered_bridges());
    let datapaths = registry::all()
        .iter()
        .map(|entry| {
            let missing = entry.datapath.probe();
            Finding {
                name: entry.datapath.name(),
                can_run: missing.is_empty(),
                missing,
            }
        })
        .collect();
    let diagnosis = Diagnosis {
        environment,
        datapaths,
        advice,
    };
    if format == Format::Json {
        print_json(&diagnosis)?;
        return Ok(Outcome::Good);
    }
    let Environment {
        kernel,
        system,
        cpu_model,
        cpus,
        datapath_cpu,
        tester_cpu,
        memory_mib,
        clock_source,
        clock_cost_ns,
        ..
    } = &diagnosis.environment;
    println!("System      {system}, Linux {kernel}");
    println!(
        "Processors  {cpus} x {cpu_model}; datapath on {datapath_cpu}, tester on {tester_cpu}"
    );
    println!("Memory      {memory_mib} MiB");
    println!("Clock       {clock_source}, {clock_cost_ns:.0} ns a reading");
    println!();
    for finding in &diagnosis.datapaths {
        let state = if finding.can_run {
            "can run"
        } else {
            "cannot run"
        };
        println!("{:<20} {state}", finding.name);
        for missing in &finding.missing {
            println!("{:<20}   missing: {missing}", "");
        }
    }
    for advice in &diagnosis.advice {
        println!("\nNote: {advice}.");
    }
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_that_lose_frames_are_told() {
        let docker = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n";
        let told = filtered("1\n", docker).unwrap();
        assert!(told.contains("those are dropped"), "{told}");
        let told = filtered("1\n", "-P FORWARD ACCEPT\n").unwrap();
        assert!(!told.contains("dropped"), "{told}");
        assert_eq!(filtered("0\n", docker), None);
    }
}
