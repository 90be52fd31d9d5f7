//! The figures of a run of flow setup, sorted by kind of port.

use super::warnings;
use crate::flow_setup::flows::Traffic;
use crate::flow_setup::record::{Ceiling, Cell, FILE, Header, Record, Recorded};
use crate::record::{Failure, PortType};
use crate::report::apart;
use crate::report::warnings::of_damage;

/// All figures of a run.
pub(super) struct Figures<'a> {
    pub header: &'a Header,
    /// Of the run as a whole.
    pub warnings: Vec<String>,
    pub groups: Vec<Group<'a>>,
    pub failures: Vec<&'a Failure>,
}

/// Datapaths on one kind of port.
pub(super) struct Group<'a> {
    pub ports: PortType,
    pub steps: Vec<Step<'a>>,
}

/// All datapaths in one direction with so many flows installed.
pub(super) struct Step<'a> {
    pub traffic: Traffic,
    pub installed: u32,
    /// The tester's.
    pub ceiling: Option<f64>,
    pub cells: Vec<Shown<'a>>,
}

/// A cell with what is to be said of it.
pub(super) struct Shown<'a> {
    pub cell: &'a Cell,
    /// Place of the datapath in the run.
    pub index: usize,
    pub warnings: Vec<String>,
}

impl<'a> Figures<'a> {
    pub fn of(recorded: &'a Recorded) -> Self {
        let Recorded {
            header,
            records,
            damage,
        } = recorded;
        let cells: Vec<&Cell> = records
            .iter()
            .filter_map(|record| match record {
                Record::Cell(cell) => Some(&**cell),
                _ => None,
            })
            .collect();
        let ceilings: Vec<Ceiling> = records
            .iter()
            .filter_map(|record| match record {
                Record::Ceiling(ceiling) => Some(*ceiling),
                _ => None,
            })
            .collect();
        let mut ports: Vec<PortType> = Vec::new();
        for cell in &cells {
            if !ports.contains(&cell.ports) {
                ports.push(cell.ports);
            }
        }
        let mut traffic: Vec<Traffic> = cells.iter().map(|cell| cell.traffic).collect();
        traffic.sort_unstable();
        traffic.dedup();
        let index = |name: &str| {
            let mut datapaths = header.datapaths.iter();
            datapaths
                .position(|datapath| datapath.name == name)
                .unwrap_or(0)
        };
        let step = |ports: PortType, traffic: Traffic, installed: u32| {
            let mut ceilings = ceilings.iter();
            let ceiling = ceilings
                .find(|ceiling| (ceiling.ports, ceiling.traffic) == (ports, traffic))
                .map(|ceiling| ceiling.rate);
            Step {
                traffic,
                installed,
                ceiling,
                cells: cells
                    .iter()
                    .filter(|cell| {
                        (cell.ports, cell.traffic, cell.installed) == (ports, traffic, installed)
                    })
                    .map(|cell| Shown {
                        cell,
                        index: index(&cell.datapath),
                        warnings: warnings::of_cell(cell, ceiling),
                    })
                    .collect(),
            }
        };
        let groups = ports
            .into_iter()
            .map(|ports| Group {
                ports,
                steps: traffic
                    .iter()
                    .flat_map(|traffic| {
                        let installed = header.installed.iter();
                        installed.map(move |installed| (*traffic, *installed))
                    })
                    .map(|(traffic, installed)| step(ports, traffic, installed))
                    .filter(|step| !step.cells.is_empty())
                    .collect(),
            })
            .collect();
        let round_trips = records.iter().map(|record| match record {
            Record::Trial(trial) => trial.round_trip_ns,
            _ => None,
        });
        Self {
            header,
            warnings: [
                warnings::of_run(header),
                apart::of_rows(round_trips),
                of_damage(FILE, damage),
            ]
            .concat(),
            groups,
            failures: records
                .iter()
                .filter_map(|record| match record {
                    Record::Failure(failure) => Some(failure),
                    _ => None,
                })
                .collect(),
        }
    }
}
