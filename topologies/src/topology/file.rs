//! A topology file as it is written. Values keep their place, so that errors can name it.

use super::{DirectPathState, EventKind, HealthTiming, Parameters, Transport, Usual};
use crate::provision::{Access, Extensions};
use mizar_wire::{Ipv4, Mac, Vni};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;

pub type Name = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub description: String,
    pub direct_path: Spanned<DirectPath>,
    pub droplets: Vec<Droplet>,
    pub vpcs: Vec<Vpc>,
    pub networks: Vec<Network>,
    pub endpoints: Vec<Endpoints>,
    #[serde(default)]
    pub policies: Vec<Policy>,
    #[serde(default)]
    pub acls: Vec<Acl>,
    pub extensions: Option<Spanned<Extensions>>,
    #[serde(default)]
    pub health: HealthTiming,
    #[serde(default)]
    pub usual: Usual,
    #[serde(default)]
    pub events: Vec<Spanned<Event>>,
    pub flows: Spanned<Vec<Flows>>,
}

/// Whether flows have found their direct path, or both are to be measured.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum DirectPath {
    Warm,
    Cold,
    Both,
}

impl DirectPath {
    pub fn states(self) -> Vec<DirectPathState> {
        match self {
            Self::Warm => vec![DirectPathState::Warm],
            Self::Cold => vec![DirectPathState::Cold],
            Self::Both => vec![DirectPathState::Cold, DirectPathState::Warm],
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Droplet {
    pub name: Name,
    pub ip: Spanned<Ipv4>,
    pub mac: Spanned<Mac>,
    pub under_test: Option<Spanned<bool>>,
    pub datapath: Option<Name>,
    #[serde(default)]
    pub stock: bool,
    pub count: Option<Spanned<Count>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    pub name: Name,
    pub vni: Spanned<Vni>,
    #[serde(default)]
    pub dividers: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub name: Name,
    pub vpc: Name,
    pub cidr: Spanned<String>,
    pub bouncers: Spanned<Vec<Name>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Simple,
    Scaled,
    Gateway,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    pub name: Name,
    pub network: Name,
    pub ip: Spanned<Ipv4>,
    pub mac: Spanned<Mac>,
    pub count: Option<Spanned<Count>>,
    #[serde(default)]
    pub kind: Kind,
    pub droplet: Option<Name>,
    pub droplets: Option<Spanned<Vec<Name>>>,
    pub backends: Option<Name>,
    #[serde(default)]
    pub pod_label: u32,
    #[serde(default)]
    pub namespace_label: u32,
}

/// How many endpoints or droplets: a number, or the parameter of that name given when the topology is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    Fixed(u32),
    Given(Size),
}

/// A parameter.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    Endpoints,
    Hosts,
    Bouncers,
    Dividers,
    Rules,
}

impl Count {
    /// Of endpoints; `None` if it is of something else.
    pub fn of_endpoints(self, parameters: Parameters) -> Option<u32> {
        match self {
            Self::Fixed(number) => Some(number),
            Self::Given(Size::Endpoints) => Some(parameters.endpoints()),
            Self::Given(_) => None,
        }
    }

    /// Of droplets; `None` if it is of something else.
    pub fn of_droplets(self, parameters: Parameters) -> Option<u32> {
        match self {
            Self::Fixed(number) => Some(number),
            Self::Given(Size::Endpoints | Size::Rules) => None,
            Self::Given(Size::Hosts) => Some(parameters.hosts()),
            Self::Given(Size::Bouncers) => Some(parameters.bouncers()),
            Self::Given(Size::Dividers) => Some(parameters.dividers()),
        }
    }

    /// Of rules; `None` if it is of something else.
    pub fn of_rules(self, parameters: Parameters) -> Option<u32> {
        match self {
            Self::Fixed(number) => Some(number),
            Self::Given(Size::Rules) => Some(parameters.rules()),
            Self::Given(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number from 1 to 65537, or \"endpoints\" or, of droplets, \"hosts\", \"bouncers\" or \"dividers\", or, of rules, \"rules\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Count, E> {
                u32::try_from(number)
                    .ok()
                    .filter(|count| (1..=Parameters::MAX_ENDPOINTS).contains(count))
                    .map(Count::Fixed)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                let size = Size::deserialize(text.into_deserializer());
                let size: Result<Size, serde::de::value::Error> = size;
                size.map(Count::Given)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum PolicyDirection {
    Ingress,
    Egress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub endpoints: Name,
    pub enforce: Spanned<Vec<PolicyDirection>>,
    #[serde(default)]
    pub allow: Vec<Spanned<Allow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    pub direction: PolicyDirection,
    pub protocol: Option<Spanned<Transport>>,
    pub port: Option<Spanned<u16>>,
    pub cidr: Option<Spanned<String>>,
    #[serde(default)]
    pub except: Vec<Spanned<String>>,
    pub pod_label: Option<Spanned<u32>>,
    pub namespace_label: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    pub network: Name,
    pub default: Access,
    #[serde(default)]
    pub rules: Vec<Spanned<AclRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclRule {
    pub access: Access,
    pub from: Option<Spanned<String>>,
    pub to: Option<Spanned<String>>,
    pub protocol: Option<Spanned<AclProtocol>>,
    pub ports: Option<Spanned<String>>,
    pub count: Option<Spanned<Count>>,
}

/// A protocol that an access list can ask for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum AclProtocol {
    Tcp,
    Udp,
    Icmp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub kind: EventKind,
    pub endpoints: Option<Name>,
    pub droplet: Option<Name>,
    pub to: Option<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flows {
    pub name: Option<String>,
    pub from: Name,
    pub to: Name,
    #[serde(default)]
    pub protocol: Transport,
}
