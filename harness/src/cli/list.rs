//! `bench list`.

use super::arguments::Format;
use super::{Outcome, print_json};
use crate::registry;
use datapath_api::{Missing, PortType};
use serde::Serialize;
use topologies::catalogue;
use topologies::topology::Parameters;

#[derive(Serialize)]
struct Listing {
    datapaths: Vec<Datapath>,
    topologies: Vec<Topology>,
}

#[derive(Serialize)]
struct Datapath {
    name: &'static str,
    summary: &'static str,
    version: String,
    ports: PortType,
    by_default: bool,
    declared_differences: Vec<&'static str>,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Topology {
    name: String,
    description: String,
}

pub fn run(format: Format) -> anyhow::Result<Outcome> {
    let listing = listing()?;
    if format == Format::Json {
        print_json(&listing)?;
        return Ok(Outcome::Good);
    }
    println!("Datapaths");
    for datapath in &listing.datapaths {
        let default = if datapath.by_default {
            ""
        } else {
            " (only if named)"
        };
        println!("  {:<20} {}{default}", datapath.name, datapath.summary);
        println!(
            "  {:<20} {}; ports: {}",
            "", datapath.version, datapath.ports
        );
        let differences = if datapath.declared_differences.is_empty() {
            "none: matches byte for byte".to_owned()
        } else {
            datapath.declared_differences.join("; ")
        };
        println!("  {:<20} declared differences: {differences}", "");
        for missing in &datapath.missing {
            println!("  {:<20} missing: {missing}", "");
        }
    }
    println!("\nTopologies");
    for topology in &listing.topologies {
        println!("  {:<20} {}", topology.name, topology.description);
    }
    Ok(Outcome::Good)
}

fn listing() -> anyhow::Result<Listing> {
    let datapaths = registry::all()
        .iter()
        .map(|entry| Datapath {
            name: entry.datapath.name(),
            summary: entry.datapath.summary(),
            version: entry.datapath.version(),
            ports: entry.datapath.native_ports(),
            by_default: entry.by_default,
            declared_differences: entry
                .datapath
                .declared_differences()
                .iter()
                .map(|difference| difference.text())
                .collect(),
            missing: entry.datapath.probe(),
        })
        .collect();
    let topologies = catalogue::ENTRIES
        .iter()
        .map(|entry| {
            let topology = entry.load(Parameters::default())?;
            Ok(Topology {
                name: topology.name().to_owned(),
                description: topology.description().to_owned(),
            })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Listing {
        datapaths,
        topologies,
    })
}
