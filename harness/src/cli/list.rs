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
    /// The droplet under test; none where all are there, and packets go from endpoint to endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    under_test: Option<String>,
    by_default: bool,
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
    println!("\nTopologies of one droplet");
    print_topologies(&listing, true);
    println!(
        "\nTopologies from endpoint to endpoint, with a datapath for each droplet (only if named)"
    );
    print_topologies(&listing, false);
    Ok(Outcome::Good)
}

fn print_topologies(listing: &Listing, by_default: bool) {
    let topologies = listing.topologies.iter();
    for topology in topologies.filter(|it| it.by_default == by_default) {
        let mut lines = wrap(&topology.description, COLUMNS - INDENT).into_iter();
        let first = lines.next().unwrap_or_default();
        println!("  {:<20} {first}", topology.name);
        for line in lines {
            println!("{:INDENT$}{line}", "");
        }
    }
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
    let topologies = catalogue::all()
        .map(|entry| {
            let topology = entry.load(Parameters::default())?;
            Ok(Topology {
                name: topology.name().to_owned(),
                description: topology.description().to_owned(),
                under_test: topology.under_test().map(|droplet| droplet.name.clone()),
                by_default: topology.under_test().is_some(),
            })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Listing {
        datapaths,
        topologies,
    })
}
