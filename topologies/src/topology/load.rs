//! From a topology file to a checked topology: names become positions, and what cannot be is refused.

use super::acl;
use super::event;
use super::expand::expand;
use super::names::{Loaded, find, names_differ, values_differ};
use super::policy::{Allow, Enforced, Policy, Remote};
use super::{
    DirectPathState, Droplet, EndpointRange, Flows, Group, Index, Network, Parameters, Place,
    Problem, Topology, TopologyError, Vpc, capacity, file,
};
use crate::provision::{Cidr, EndpointKind, Extensions, Host};
use mizar_wire::{Ipv4, Mac};
use std::path::Path;
use toml::Spanned;

pub fn load(file: &str, text: &str, parameters: Parameters) -> Result<Topology, TopologyError> {
    let parsed = toml::from_str::<file::File>(text).map_err(|error| {
        let problem = Problem::Toml(error.message().trim().replace('\n', "; "));
        (error.span().unwrap_or(0..0), problem)
    });
    let name = Path::new(file)
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    parsed
        .and_then(|mut parsed| {
            expand(&mut parsed, parameters)?;
            Loader {
                file: &parsed,
                parameters,
            }
            .topology(name.unwrap_or_default())
        })
        .map_err(|(span, problem)| TopologyError::Wrong {
            place: Place::of(file, text, span.start),
            problem,
        })
}

struct Loader<'a> {
    file: &'a file::File,
    parameters: Parameters,
}

impl Loader<'_> {
    fn topology(&self, name: String) -> Loaded<Topology> {
        let direct_path_states = self.file.direct_path.get_ref().states();
        let direct_path = direct_path_states.first().copied();
        let under_test = self.under_test()?;
        let mut topology = Topology {
            name,
            description: self.file.description.clone(),
            parameters: self.parameters,
            direct_path: direct_path.unwrap_or(DirectPathState::Cold),
            direct_path_states,
            extensions: self.extensions()?,
            dead: Vec::new(),
            health: None,
            health_timing: self.file.health,
            usual: self.file.usual,
            droplets: self.droplets()?,
            under_test,
            vpcs: self.vpcs()?,
            networks: self.networks()?,
            groups: self.groups()?,
            policies: self.policies()?,
            acls: acl::load(self.file, self.parameters)?,
            flows: self.flows()?,
            events: event::load(self.file, under_test.is_some())?,
            ports: Vec::new(),
        };
        topology.ports = topology.count_ports();
        topology.check(self.file)?;
        Ok(topology)
    }

    fn extensions(&self) -> Loaded<Extensions> {
        let Some(extensions) = &self.file.extensions else {
            return Ok(Extensions::default());
        };
        let asked = *extensions.get_ref();
        if asked.short_header && !asked.invalidation {
            let problem = Problem::Lacks {
                what: "`short_header = true`",
                key: "`invalidation = true`, without which no packet comes back",
            };
            return Err((extensions.span(), problem));
        }
        Ok(asked)
    }

    fn droplets(&self) -> Loaded<Vec<Droplet>> {
        let droplets = &self.file.droplets;
        names_differ("droplet", droplets.iter().map(|droplet| &droplet.name))?;
        values_differ(droplets.iter().map(|droplet| (&droplet.name, &droplet.ip)))?;
        values_differ(droplets.iter().map(|droplet| (&droplet.name, &droplet.mac)))?;
        let droplet = |from: &file::Droplet| Droplet {
            name: from.name.get_ref().clone(),
            host: Host {
                ip: *from.ip.get_ref(),
                mac: *from.mac.get_ref(),
            },
            datapath: from.datapath.as_ref().map(|name| name.get_ref().clone()),
            stock: from.stock,
        };
        Ok(droplets.iter().map(droplet).collect())
    }

    fn under_test(&self) -> Loaded<Option<Index>> {
        let mut chosen: Option<Index> = None;
        for (index, droplet) in self.file.droplets.iter().enumerate() {
            let Some(flag) = droplet.under_test.as_ref().filter(|flag| *flag.get_ref()) else {
                continue;
            };
            if let Some(first) = chosen {
                let first = self.file.droplets[first].name.get_ref().clone();
                return Err((flag.span(), Problem::SecondUnderTest { first }));
            }
            chosen = Some(index);
        }
        if let Some(both) = chosen.filter(|_| self.file.direct_path.get_ref().states().len() > 1) {
            let (key, context) = ("direct_path = \"both\"", "for a droplet alone");
            let droplet = self.file.droplets[both].name.span();
            return Err((droplet, Problem::Meaningless { key, context }));
        }
        Ok(chosen)
    }

    fn vpcs(&self) -> Loaded<Vec<Vpc>> {
        let vpcs = &self.file.vpcs;
        names_differ("VPC", vpcs.iter().map(|vpc| &vpc.name))?;
        values_differ(vpcs.iter().map(|vpc| (&vpc.name, &vpc.vni)))?;
        if let Some(beyond) = vpcs.get(capacity::VPCS) {
            return Err((
                beyond.name.span(),
                too_many("VPCs", vpcs.len(), capacity::VPCS),
            ));
        }
        vpcs.iter()
            .map(|vpc| {
                let dividers = self.droplet_list(&vpc.dividers)?;
                if let Some(beyond) = vpc.dividers.get(capacity::GROUP) {
                    let problem = too_many("dividers", dividers.len(), capacity::GROUP);
                    return Err((beyond.span(), problem));
                }
                Ok(Vpc {
                    vni: *vpc.vni.get_ref(),
                    dividers,
                })
            })
            .collect()
    }

    fn networks(&self) -> Loaded<Vec<Network>> {
        names_differ(
            "network",
            self.file.networks.iter().map(|network| &network.name),
        )?;
        let mut networks: Vec<Network> = Vec::new();
        for (index, from) in self.file.networks.iter().enumerate() {
            let vpc = find("VPC", &from.vpc, self.file.vpcs.iter().map(|vpc| &vpc.name))?;
            let cidr = cidr(&from.cidr)?;
            if let Some(same) = networks.iter().position(|n| n.vpc == vpc && n.cidr == cidr) {
                let owner = self.file.networks[same].name.get_ref().clone();
                let problem = Problem::AddressTaken {
                    address: cidr.to_string(),
                    owner,
                };
                return Err((from.cidr.span(), problem));
            }
            let listed = from.bouncers.get_ref();
            let bouncers = self.droplet_list(listed)?;
            if bouncers.is_empty() {
                let problem = Problem::Empty {
                    what: "the list of bouncers",
                };
                return Err((from.bouncers.span(), problem));
            }
            if let Some(beyond) = listed.get(capacity::GROUP) {
                let problem = too_many("bouncers", listed.len(), capacity::GROUP);
                return Err((beyond.span(), problem));
            }
            if index >= capacity::NETWORKS {
                let count = self.file.networks.len();
                let problem = too_many("networks", count, capacity::NETWORKS);
                return Err((from.name.span(), problem));
            }
            networks.push(Network {
                vpc,
                cidr,
                bouncers,
            });
        }
        Ok(networks)
    }

    fn groups(&self) -> Loaded<Vec<Group>> {
        names_differ(
            "endpoint",
            self.file.endpoints.iter().map(|endpoint| &endpoint.name),
        )?;
        self.file
            .endpoints
            .iter()
            .map(|from| self.group(from))
            .collect()
    }

    fn group(&self, from: &file::Endpoints) -> Loaded<Group> {
        let networks = self.file.networks.iter().map(|network| &network.name);
        let network = find("network", &from.network, networks)?;
        let (kind, droplets, backends) = match from.kind {
            file::Kind::Scaled => (EndpointKind::Scaled, vec![], Some(self.backends(from)?)),
            file::Kind::Simple => (EndpointKind::Simple, self.hosts(from)?, None),
            file::Kind::Gateway => (EndpointKind::Gateway, self.hosts(from)?, None),
        };
        if let Some(backends) = from.backends.as_ref().filter(|_| backends.is_none()) {
            let context = "for an endpoint that is not scaled";
            return Err((
                backends.span(),
                Problem::Meaningless {
                    key: "backends",
                    context,
                },
            ));
        }
        let count = match &from.count {
            None => 1,
            Some(count) => count
                .get_ref()
                .of_endpoints(self.parameters)
                .ok_or_else(|| {
                    let (key, context) = ("a count of droplets", "for endpoints");
                    (count.span(), Problem::Meaningless { key, context })
                })?,
        };
        let range = range(&from.ip, &from.mac, count)?;
        Ok(Group {
            name: from.name.get_ref().clone(),
            network,
            range,
            kind,
            droplets,
            backends,
            is_gone: false,
            pod_label: from.pod_label,
            namespace_label: from.namespace_label,
        })
    }

    fn hosts(&self, from: &file::Endpoints) -> Loaded<Vec<Index>> {
        match (&from.droplet, &from.droplets) {
            (Some(one), None) => self.droplet_list(std::slice::from_ref(one)),
            (None, Some(several)) if several.get_ref().is_empty() => Err((
                several.span(),
                Problem::Empty {
                    what: "the list of droplets",
                },
            )),
            (None, Some(several)) => self.droplet_list(several.get_ref()),
            (None, None) => {
                let problem = Problem::Lacks {
                    what: "endpoint",
                    key: "`droplet` or `droplets`",
                };
                Err((from.name.span(), problem))
            }
            (Some(_), Some(several)) => {
                let context = "beside `droplet`";
                Err((
                    several.span(),
                    Problem::Meaningless {
                        key: "droplets",
                        context,
                    },
                ))
            }
        }
    }

    fn backends(&self, from: &file::Endpoints) -> Loaded<Index> {
        let span = from.droplet.as_ref().map(Spanned::span);
        if let Some(span) = span.or_else(|| from.droplets.as_ref().map(Spanned::span)) {
            let context = "for a scaled endpoint, which is hosted nowhere";
            return Err((
                span,
                Problem::Meaningless {
                    key: "droplet",
                    context,
                },
            ));
        }
        let Some(backends) = &from.backends else {
            let problem = Problem::Lacks {
                what: "scaled endpoint",
                key: "`backends`",
            };
            return Err((from.name.span(), problem));
        };
        self.endpoint(backends)
    }

    fn policies(&self) -> Loaded<Vec<Policy>> {
        // Numbers of rules are counted by VPC and direction.
        let mut numbers: Vec<(Index, file::PolicyDirection, u32)> = Vec::new();
        let mut policies = Vec::new();
        let what = "policy of endpoint";
        names_differ(
            what,
            self.file.policies.iter().map(|policy| &policy.endpoints),
        )?;
        for from in &self.file.policies {
            let group = self.endpoint(&from.endpoints)?;
            let network = &self.file.endpoints[group].network;
            let networks = self.file.networks.iter().map(|network| &network.name);
            let network = &self.file.networks[find("network", network, networks)?];
            let vpc = find(
                "VPC",
                &network.vpc,
                self.file.vpcs.iter().map(|vpc| &vpc.name),
            )?;
            let mut policy = Policy {
                group,
                ingress: Enforced::default(),
                egress: Enforced::default(),
            };
            for direction in from.enforce.get_ref() {
                side(&mut policy, *direction).enforced = true;
            }
            for allow in &from.allow {
                let direction = allow.get_ref().direction;
                if !side(&mut policy, direction).enforced {
                    let context = "for a direction that `enforce` does not list";
                    let problem = Problem::Meaningless {
                        key: "allow",
                        context,
                    };
                    return Err((allow.span(), problem));
                }
                let used = numbers
                    .iter()
                    .filter(|(v, d, _)| (*v, *d) == (vpc, direction))
                    .count();
                if used >= capacity::POLICIES {
                    let what = "rules of one direction in a VPC";
                    let problem = too_many(what, used + 1, capacity::POLICIES);
                    return Err((allow.span(), problem));
                }
                let number = u32::try_from(used).unwrap_or_default();
                numbers.push((vpc, direction, number));
                let rule = rule(allow.get_ref(), number)?;
                side(&mut policy, direction).allow.push(rule);
            }
            policies.push(policy);
        }
        Ok(policies)
    }

    fn flows(&self) -> Loaded<Vec<Flows>> {
        if self.file.flows.get_ref().is_empty() {
            let problem = Problem::Empty {
                what: "the list of flows",
            };
            return Err((self.file.flows.span(), problem));
        }
        let flows = |from: &file::Flows| {
            let name = from.name.clone();
            Ok(Flows {
                name: name
                    .unwrap_or_else(|| format!("{} to {}", from.from.get_ref(), from.to.get_ref())),
                from: self.endpoint(&from.from)?,
                to: self.endpoint(&from.to)?,
                transport: from.protocol,
            })
        };
        self.file.flows.get_ref().iter().map(flows).collect()
    }

    fn endpoint(&self, name: &file::Name) -> Loaded<Index> {
        find(
            "endpoint",
            name,
            self.file.endpoints.iter().map(|endpoint| &endpoint.name),
        )
    }

    fn droplet_list(&self, names: &[file::Name]) -> Loaded<Vec<Index>> {
        names_differ("droplet", names.iter())?;
        let known = || self.file.droplets.iter().map(|droplet| &droplet.name);
        names
            .iter()
            .map(|name| find("droplet", name, known()))
            .collect()
    }
}

/// `count` consecutive addresses, of which there are so many.
pub fn range(ip: &Spanned<Ipv4>, mac: &Spanned<Mac>, count: u32) -> Loaded<EndpointRange> {
    let range = EndpointRange {
        ip: *ip.get_ref(),
        mac: *mac.get_ref(),
        count,
    };
    let [_, _, lower @ ..] = range.mac.octets();
    let exist = |first: u32| first.checked_add(count - 1).is_some();
    if !exist(range.ip.to_bits()) {
        let first = range.ip.to_string();
        return Err((ip.span(), Problem::RangeOverflow { first, count }));
    }
    if !exist(u32::from_be_bytes(lower)) {
        let first = range.mac.to_string();
        return Err((mac.span(), Problem::RangeOverflow { first, count }));
    }
    Ok(range)
}

fn side(policy: &mut Policy, direction: file::PolicyDirection) -> &mut Enforced {
    match direction {
        file::PolicyDirection::Ingress => &mut policy.ingress,
        file::PolicyDirection::Egress => &mut policy.egress,
    }
}

fn rule(from: &file::Allow, number: u32) -> Loaded<Allow> {
    let port = match (&from.protocol, &from.port) {
        (None, None) => None,
        (Some(protocol), Some(port)) => Some((*protocol.get_ref(), *port.get_ref())),
        (None, Some(port)) => {
            let context = "without `protocol`";
            return Err((
                port.span(),
                Problem::Meaningless {
                    key: "port",
                    context,
                },
            ));
        }
        // Mizar has rules for one port or for everything, not for a whole protocol.
        (Some(protocol), None) => {
            let problem = Problem::Lacks {
                what: "a rule with `protocol`",
                key: "`port`",
            };
            return Err((protocol.span(), problem));
        }
    };
    let label = from.pod_label.as_ref().or(from.namespace_label.as_ref());
    if let (Some(_), Some(except)) = (label, from.except.first()) {
        let context = "beside a label";
        return Err((
            except.span(),
            Problem::Meaningless {
                key: "except",
                context,
            },
        ));
    }
    let value = |label: &Option<Spanned<u32>>| label.as_ref().map_or(0, |label| *label.get_ref());
    let remote = match (label, &from.cidr) {
        (Some(label), None) if from.direction == file::PolicyDirection::Ingress => {
            if value(&from.pod_label) == 0 && value(&from.namespace_label) == 0 {
                let context = "as a label: zero stands for none";
                return Err((label.span(), Problem::Meaningless { key: "0", context }));
            }
            let (pod, namespace) = (value(&from.pod_label), value(&from.namespace_label));
            Remote::Labels { pod, namespace }
        }
        (Some(label), None) => {
            let context = "for egress, which knows no labels";
            return Err((
                label.span(),
                Problem::Meaningless {
                    key: "a label",
                    context,
                },
            ));
        }
        (Some(_), Some(cidr)) => {
            let context = "beside a label";
            return Err((
                cidr.span(),
                Problem::Meaningless {
                    key: "cidr",
                    context,
                },
            ));
        }
        (None, prefix) => {
            let except: Loaded<Vec<Cidr>> = from.except.iter().map(cidr).collect();
            let cidr = prefix.as_ref().map_or(Ok(Cidr::EVERYTHING), cidr)?;
            Remote::Prefix {
                cidr,
                except: except?,
            }
        }
    };
    Ok(Allow {
        number,
        port,
        remote,
    })
}

pub fn cidr(text: &Spanned<String>) -> Loaded<Cidr> {
    text.get_ref()
        .parse()
        .map_err(|error| (text.span(), Problem::Cidr(error)))
}

pub fn too_many(what: &str, found: usize, limit: usize) -> Problem {
    Problem::Capacity {
        what: what.to_owned(),
        found,
        limit,
    }
}
