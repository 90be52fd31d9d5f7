//! `bench list`.

use super::arguments::Format;
use super::{Outcome, print_json};
use crate::registry;
use crate::report::text::wrap;
use datapath_api::{Missing, PortType};
use serde::Serialize;
use std::collections::BTreeSet;
use topologies::catalogue;
use topologies::topology::Parameters;

/// Columns of a line.
const COLUMNS: usize = 100;
/// Columns in front of the second column.
const INDENT: usize = 23;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_of: Option<&'static str>,
    by_default: bool,
    declared_differences: Vec<Declared>,
    missing: Vec<Missing>,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Declared {
    name: &'static str,
    meaning: &'static str,
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
            let names = datapath.declared_differences.iter().map(|it| it.name);
            names.collect::<Vec<_>>().join(", ")
        };
        indented(&format!("declared differences: {differences}"));
        for missing in &datapath.missing {
            println!("  {:<20} missing: {missing}", "");
        }
    }
    let all = listing.datapaths.iter();
    let unique: BTreeSet<_> = all.flat_map(|it| &it.declared_differences).collect();
    println!("\nDeclared differences: where packets lawfully differ from Mizar's");
    for Declared { name, meaning } in unique {
        println!("  {name}");
        indented(meaning);
    }
    println!("\nTopologies");
    for topology in &listing.topologies {
        println!("  {:<20} {}", topology.name, topology.description);
    }
    Ok(Outcome::Good)
}

/// Prints text in the second column, broken into lines.
fn indented(text: &str) {
    for line in wrap(text, COLUMNS - INDENT) {
        println!("{:INDENT$}{line}", "");
    }
}

fn listing() -> anyhow::Result<Listing> {
    let datapaths = registry::all()
        .iter()
        .map(|entry| Datapath {
            name: entry.datapath.name(),
            summary: entry.datapath.summary(),
            version: entry.datapath.version(),
            ports: entry.datapath.ports(),
            variant_of: entry.datapath.variant_of(),
            by_default: entry.by_default,
            declared_differences: entry
                .datapath
                .declared_differences()
                .iter()
                .map(|difference| Declared {
                    name: difference.name(),
                    meaning: difference.text(),
                })
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
