//! Checks that need the whole topology: addresses against networks, flows against the droplet under test,
//! and tables against Mizar's capacities.

use super::{DirectPathState, Group, Problem, Topology, capacity, file};
use crate::provision::Rules;
use std::ops::Range;

type Checked = Result<(), (Range<usize>, Problem)>;

impl Topology {
    pub(super) fn check(&self, file: &file::File) -> Checked {
        self.check_addresses(file)?;
        self.check_lists(file)?;
        self.check_backends(file)?;
        self.check_flows(file)?;
        self.check_events(file)?;
        self.check_capacities(file)
    }

    fn check_addresses(&self, file: &file::File) -> Checked {
        for (number, group) in self.groups.iter().enumerate() {
            let (first, last) = (group.range.ip, group.range.ip(group.range.count - 1));
            let cidr = self.networks[group.network].cidr;
            let at = file.endpoints[number].ip.span();
            if !cidr.contains(first) || !cidr.contains(last) {
                let network = file.endpoints[number].network.get_ref().clone();
                let cidr = cidr.to_string();
                return Err((
                    at,
                    Problem::OutsideNetwork {
                        first,
                        last,
                        network,
                        cidr,
                    },
                ));
            }
            let overlaps = |other: &&Group| {
                self.vni_of(other) == self.vni_of(group)
                    && other.range.ip.to_bits() <= last.to_bits()
                    && first.to_bits() <= other.range.ip(other.range.count - 1).to_bits()
            };
            if let Some(other) = self.groups.iter().take(number).find(overlaps) {
                // One of the two ranges starts inside the other.
                let shared = if other.range.index_of(first).is_some() {
                    first
                } else {
                    other.range.ip
                };
                let (address, owner) = (shared.to_string(), other.name.clone());
                return Err((at, Problem::AddressTaken { address, owner }));
            }
        }
        Ok(())
    }

    fn check_backends(&self, file: &file::File) -> Checked {
        for (group, from) in self.groups.iter().zip(&file.endpoints) {
            let (Some(backends), Some(name)) = (group.backends, &from.backends) else {
                continue;
            };
            let backends = &self.groups[backends];
            if self.vni_of(backends) != self.vni_of(group) {
                let (from, to) = (group.name.clone(), backends.name.clone());
                return Err((name.span(), Problem::AcrossVpcs { from, to }));
            }
            if backends.backends.is_some() {
                return Err((
                    name.span(),
                    Problem::ToScaled {
                        to: backends.name.clone(),
                    },
                ));
            }
        }
        Ok(())
    }

    fn check_flows(&self, file: &file::File) -> Checked {
        for (flows, written) in self.flows.iter().zip(file.flows.get_ref()) {
            let (from, to) = (&self.groups[flows.from], &self.groups[flows.to]);
            if self.vni_of(from) != self.vni_of(to) {
                let (from, to) = (from.name.clone(), to.name.clone());
                return Err((written.to.span(), Problem::AcrossVpcs { from, to }));
            }
            for (group, name) in [(from, &written.from), (to, &written.to)] {
                if group.backends.is_some() {
                    return Err((
                        name.span(),
                        Problem::ToScaled {
                            to: group.name.clone(),
                        },
                    ));
                }
                let here = self.under_test.filter(|at| group.droplets.contains(at));
                if let Some(at) = here.filter(|_| group.droplets.len() > 1) {
                    let endpoints = group.name.clone();
                    let droplet = self.droplets[at].name.clone();
                    return Err((name.span(), Problem::Straddles { endpoints, droplet }));
                }
            }
            let crosses_networks = from.network != to.network;
            let vpc = self.networks[from.network].vpc;
            if crosses_networks && self.vpcs[vpc].dividers.is_empty() {
                let what = "VPC of networks with flows between them";
                let problem = Problem::Lacks {
                    what,
                    key: "`dividers`",
                };
                return Err((file.vpcs[vpc].name.span(), problem));
            }
            if let Some(network) = self.forbids(flows) {
                let network = file.networks[network].name.get_ref().clone();
                return Err((written.from.span(), Problem::Forbidden { network }));
            }
            if let Some(at) = self.under_test
                && self.direction(flows, at).is_none()
            {
                let (way, droplet) = (self.way(flows), self.droplets[at].name.clone());
                return Err((written.from.span(), Problem::Avoids { way, droplet }));
            }
        }
        Ok(())
    }

    fn check_events(&self, file: &file::File) -> Checked {
        let Some((event, group)) = self.renumbers() else {
            return Ok(());
        };
        let endpoints = self.groups[group].name.clone();
        Err((file.events[event].span(), Problem::Renumbers { endpoints }))
    }

    fn check_capacities(&self, file: &file::File) -> Checked {
        for (droplet, written) in self.droplets.iter().zip(&file.droplets) {
            let tables = self.provision(droplet);
            let entries = |rules: &Rules| {
                [
                    rules.ports.len(),
                    rules.cidr_primary.len(),
                    rules.cidr_supplementary.len(),
                    rules.cidr_except.len(),
                ]
                .into_iter()
                .max()
                .unwrap_or_default()
            };
            let policy_entries = entries(&tables.ingress).max(entries(&tables.egress));
            let name = &droplet.name;
            for (what, found, limit) in [
                ("endpoints", tables.endpoints.len(), capacity::ENDPOINTS),
                ("networks", tables.networks.len(), capacity::NETWORKS),
                ("policy entries", policy_entries, capacity::POLICY_ENTRIES),
            ] {
                if found > limit {
                    let what = format!("{what} for droplet \"{name}\" to know");
                    return Err((
                        written.name.span(),
                        Problem::Capacity { what, found, limit },
                    ));
                }
            }
            let found = tables.direct_paths.len();
            if self.direct_path == DirectPathState::Warm && found > capacity::CACHE {
                let what = format!("direct paths for droplet \"{name}\" to keep warm");
                let problem = Problem::Capacity {
                    what,
                    found,
                    limit: capacity::CACHE,
                };
                return Err((file.direct_path.span(), problem));
            }
        }
        Ok(())
    }
}
