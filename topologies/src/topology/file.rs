//! A topology file as it is written. Values keep their place, so that errors can name it.

use super::{DirectPathState, Transport};
use mizar_wire::{Ipv4, Mac, Vni};
use serde::Deserialize;
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

/// How many endpoints: a number, or the parameter given when the topology is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    Fixed(u32),
    Endpoints,
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number from 1 to 65537, or \"endpoints\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Count, E> {
                u32::try_from(number)
                    .ok()
                    .filter(|count| (1..=super::Parameters::MAX_ENDPOINTS).contains(count))
                    .map(Count::Fixed)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                if text == "endpoints" {
                    Ok(Count::Endpoints)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
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
pub struct Flows {
    pub name: Option<String>,
    pub from: Name,
    pub to: Name,
    #[serde(default)]
    pub protocol: Transport,
}
