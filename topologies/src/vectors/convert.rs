//! From the vectors file's form to the types that datapaths are configured with.

use super::{Expected, Program, Step, Vector, VectorsError, file};
use crate::oracle::Why;
use crate::provision::{
    Attachment, Cidr, CidrRule, Class, DirectPath, Endpoint, EndpointKind, EndpointPort, Host,
    LabelRule, Network, PolicySet, Port, PortRule, Priority, Provision, Rules, Vpc,
};
use mizar_wire::{Ipv4, Mac, Vni};

/// A field, as a path, and what is wrong with it.
struct Problem(String, String);

type Field<T> = Result<T, Problem>;

/// Where an endpoint is attached, by network identifier and address.
type Ports = Vec<((Vni, Ipv4), EndpointPort)>;

pub fn vector(from: file::Vector) -> Result<Vector, VectorsError> {
    let name = from.name.clone();
    convert(from).map_err(|Problem(field, problem)| VectorsError::Field {
        file: None,
        vector: name,
        field,
        problem,
    })
}

fn convert(from: file::Vector) -> Field<Vector> {
    let ports = assign_ports(&from)?;
    let provision = provision(&from, &ports)?;
    let ingress = match (from.program, provision.attachments.first()) {
        (Program::Transit, _) => Port::Uplink,
        (Program::Agent, Some(attachment)) => Port::Endpoint(attachment.port),
        (Program::Agent, None) => {
            return Err(Problem(
                "agent".into(),
                "expected an endpoint, found none".into(),
            ));
        }
    };
    let mut steps = Vec::new();
    for (number, step) in from.steps.iter().enumerate() {
        let at = |field: &str| format!("steps[{number}].{field}");
        steps.push(Step {
            ingress,
            input: hex(&step.input).map_err(|problem| Problem(at("input"), problem))?,
            expected: expected(step, &provision)
                .map_err(|Problem(field, problem)| Problem(at(&field), problem))?,
        });
    }
    let mut direct_paths_after = Vec::new();
    for (number, line) in from.endpoint_host_cache_after.iter().enumerate() {
        direct_paths_after.push(cache_line(line).ok_or_else(|| {
            Problem(
                format!("endpoint_host_cache_after[{number}]"),
                format!("`{line}`: expected `vni overlay-ip host-ip host-mac`"),
            )
        })?);
    }
    direct_paths_after.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    Ok(Vector {
        name: from.name,
        program: from.program,
        provision,
        steps,
        direct_paths_after,
    })
}

/// Each hosted endpoint has a port of its own; the agent's endpoint comes first if it is not listed.
fn assign_ports(from: &file::Vector) -> Field<Ports> {
    let mut keys = Vec::new();
    for (number, endpoint) in from.tables.endpoints.iter().enumerate() {
        if endpoint.hosted_here {
            let at = format!("tables.endpoints[{number}].vni");
            keys.push((vni(endpoint.vni, &at)?, endpoint.ip));
        }
    }
    if let Some(agent) = &from.agent {
        let key = (vni(agent.vni, "agent.vni")?, agent.ip);
        if !keys.contains(&key) {
            keys.insert(0, key);
        }
    }
    Ok(keys
        .into_iter()
        .zip((0..=u16::MAX).map(EndpointPort))
        .collect())
}

fn port_of(ports: &Ports, vni: Vni, ip: Ipv4) -> Option<EndpointPort> {
    ports
        .iter()
        .find(|(key, _)| *key == (vni, ip))
        .map(|(_, port)| *port)
}

fn provision(from: &file::Vector, ports: &Ports) -> Field<Provision> {
    let tables = &from.tables;
    let mut to = Provision::new(host(&from.droplet));
    to.substrate = tables.substrate.iter().map(host).collect();

    if let Some(agent) = &from.agent {
        let vni = vni(agent.vni, "agent.vni")?;
        to.attachments.push(Attachment {
            port: port_of(ports, vni, agent.ip).unwrap_or(EndpointPort(0)),
            vni,
            ip: agent.ip,
            mac: agent.mac,
            bouncers: agent.bouncers.clone(),
            pod_label: agent.pod_label.unwrap_or_default(),
            namespace_label: agent.namespace_label.unwrap_or_default(),
            class: class(agent.class_priority.unwrap_or_default()),
        });
    }
    for (number, endpoint) in tables.endpoints.iter().enumerate() {
        let vni = vni(endpoint.vni, &format!("tables.endpoints[{number}].vni"))?;
        let port = if endpoint.hosted_here {
            port_of(ports, vni, endpoint.ip)
        } else {
            None
        };
        to.endpoints.push(Endpoint {
            vni,
            ip: endpoint.ip,
            mac: endpoint.mac,
            kind: match endpoint.kind {
                file::Kind::Simple => EndpointKind::Simple,
                file::Kind::Scaled => EndpointKind::Scaled,
                file::Kind::Gateway => EndpointKind::Gateway,
            },
            port,
            hosts: endpoint.remote_ips.clone(),
        });
    }
    for (number, network) in tables.networks.iter().enumerate() {
        let at = format!("tables.networks[{number}]");
        to.networks.push(Network {
            vni: vni(network.vni, &format!("{at}.vni"))?,
            cidr: cidr(&network.cidr, &format!("{at}.cidr"))?,
            bouncers: network.bouncers.clone(),
        });
    }
    for (number, vpc) in tables.vpcs.iter().enumerate() {
        let vni = vni(vpc.vni, &format!("tables.vpcs[{number}].vni"))?;
        to.vpcs.push(Vpc {
            vni,
            dividers: vpc.dividers.clone(),
        });
    }
    for (number, entry) in tables.endpoint_host_cache.iter().enumerate() {
        to.direct_paths.push(DirectPath {
            vni: vni(
                entry.vni,
                &format!("tables.endpoint_host_cache[{number}].vni"),
            )?,
            ip: entry.ip,
            host: Host {
                ip: entry.host_ip,
                mac: entry.host_mac,
            },
        });
    }
    // Policy entries carry no network identifier: they hold in every VPC that the vector names.
    let vnis = all_vnis(&to);
    to.ingress = rules(&tables.policy.ingress, "tables.policy.ingress", &vnis)?;
    to.egress = rules(&tables.policy.egress, "tables.policy.egress", &vnis)?;
    Ok(to)
}

fn all_vnis(provision: &Provision) -> Vec<Vni> {
    let mut vnis: Vec<Vni> = provision
        .attachments
        .iter()
        .map(|attachment| attachment.vni)
        .collect();
    vnis.extend(provision.endpoints.iter().map(|endpoint| endpoint.vni));
    vnis.extend(provision.networks.iter().map(|network| network.vni));
    vnis.extend(provision.vpcs.iter().map(|vpc| vpc.vni));
    vnis.extend(provision.direct_paths.iter().map(|path| path.vni));
    vnis.sort();
    vnis.dedup();
    vnis
}

fn rules(from: &file::Rules, at: &str, vnis: &[Vni]) -> Field<Rules> {
    let mut to = Rules::default();
    for &vni in vnis {
        to.enforced
            .extend(from.enforced.iter().map(|&ip| (vni, ip)));
        to.ports.extend(from.ports.iter().map(|rule| PortRule {
            vni,
            local: rule.local,
            protocol: rule.proto,
            port: rule.port,
            policies: PolicySet(rule.policies),
        }));
        for (list, from, to) in [
            ("cidr_primary", &from.cidr_primary, &mut to.cidr_primary),
            (
                "cidr_supplementary",
                &from.cidr_supplementary,
                &mut to.cidr_supplementary,
            ),
            ("cidr_except", &from.cidr_except, &mut to.cidr_except),
        ] {
            for (number, rule) in from.iter().enumerate() {
                to.push(CidrRule {
                    vni,
                    local: rule.local,
                    remote: cidr(&rule.remote, &format!("{at}.{list}[{number}].remote"))?,
                    policies: PolicySet(rule.policies),
                });
            }
        }
        let label = |pod, namespace, policies| LabelRule {
            vni,
            pod,
            namespace,
            policies: PolicySet(policies),
        };
        to.labels.extend(
            from.pod_labels
                .iter()
                .map(|rule| label(rule.label, 0, rule.policies)),
        );
        to.labels.extend(
            from.namespace_labels
                .iter()
                .map(|rule| label(0, rule.label, rule.policies)),
        );
        to.labels.extend(
            from.pod_and_namespace_labels
                .iter()
                .map(|rule| label(rule.pod_label, rule.namespace_label, rule.policies)),
        );
    }
    Ok(to)
}

fn expected(step: &file::Step, provision: &Provision) -> Field<Expected> {
    let output = || match &step.output {
        Some(text) => hex(text).map_err(|problem| Problem("output".into(), problem)),
        None => Err(Problem(
            "output".into(),
            "expected a frame, found none".into(),
        )),
    };
    Ok(match step.verdict {
        file::Verdict::Drop => Expected::Dropped(Why::Drop),
        file::Verdict::Aborted => Expected::Dropped(Why::Abort),
        file::Verdict::Pass => Expected::ToStack { frame: output()? },
        file::Verdict::Redirect => {
            let frame = output()?;
            let port = match step.port {
                Some(file::PortName::Uplink) => Port::Uplink,
                Some(file::PortName::Endpoint) => Port::Endpoint(delivered_to(&frame, provision)?),
                None => {
                    let problem = "expected `uplink` or `endpoint` beside a redirect".to_owned();
                    return Err(Problem("port".into(), problem));
                }
            };
            Expected::Forward { port, frame }
        }
    })
}

/// The file says only that a frame goes to an endpoint; its destination address says to which.
fn delivered_to(frame: &[u8], provision: &Provision) -> Field<EndpointPort> {
    let dst = frame.first_chunk::<6>().map(|octets| Mac::new(*octets));
    let port = provision
        .endpoints
        .iter()
        .filter(|endpoint| Some(endpoint.mac) == dst)
        .find_map(|endpoint| endpoint.port);
    port.ok_or_else(|| {
        let problem = "its destination is the address of no endpoint hosted here".to_owned();
        Problem("output".into(), problem)
    })
}

fn host(from: &file::Host) -> Host {
    Host {
        ip: from.ip,
        mac: from.mac,
    }
}

fn vni(number: u32, at: &str) -> Field<Vni> {
    Vni::try_from(number).map_err(|error| Problem(at.to_owned(), error.to_string()))
}

fn cidr(text: &str, at: &str) -> Field<Cidr> {
    text.parse::<Cidr>()
        .map_err(|error| Problem(at.to_owned(), error.to_string()))
}

/// Mizar's bit codes; what it has no case for, it treats as its first class.
fn class(code: u32) -> (Class, Priority) {
    let has = |bits: u32| code & bits == bits && bits != 0;
    let class = if has(0x0100_0000) {
        Class::Premium
    } else if has(0x0010_0000) {
        Class::Expedited
    } else if has(0x0001_0000) {
        Class::BestEffort
    } else {
        return (Class::Premium, Priority::High);
    };
    if has(0x100) {
        (class, Priority::High)
    } else if has(0x10) {
        (class, Priority::Medium)
    } else if has(0x1) {
        (class, Priority::Low)
    } else {
        (Class::Premium, Priority::High)
    }
}

fn cache_line(line: &str) -> Option<DirectPath> {
    let mut words = line.split(' ');
    let vni = Vni::new(words.next()?.parse().ok()?)?;
    let mut ip = || {
        words
            .next()?
            .parse::<std::net::Ipv4Addr>()
            .ok()
            .map(Ipv4::from)
    };
    let (ip, host_ip) = (ip()?, ip()?);
    let mac = words.next()?.parse().ok()?;
    words.next().is_none().then_some(DirectPath {
        vni,
        ip,
        host: Host { ip: host_ip, mac },
    })
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(format!(
            "{} hexadecimal digits: expected an even number",
            digits.len()
        ));
    }
    digits
        .chunks(2)
        .enumerate()
        .map(|(number, pair)| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| !pair.contains('+'));
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(|| format!("octet {number} is not two hexadecimal digits"))
        })
        .collect()
}
