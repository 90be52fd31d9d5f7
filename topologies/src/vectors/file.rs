//! The vectors file as it is written. Unknown fields are left alone, so that recorders may add some.

use super::Program;
use mizar_wire::{Ipv4, Mac};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct File {
    pub vectors: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
pub struct Vector {
    pub name: String,
    pub program: Program,
    pub droplet: Host,
    pub agent: Option<Agent>,
    #[serde(default)]
    pub tables: Tables,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub endpoint_host_cache_after: Vec<String>,
}

#[derive(Deserialize)]
pub struct Host {
    pub ip: Ipv4,
    pub mac: Mac,
}

#[derive(Deserialize)]
pub struct Agent {
    pub vni: u32,
    pub ip: Ipv4,
    pub mac: Mac,
    #[serde(default)]
    pub bouncers: Vec<Ipv4>,
    pub pod_label: Option<u32>,
    pub namespace_label: Option<u32>,
    pub class_priority: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Tables {
    pub substrate: Vec<Host>,
    pub endpoints: Vec<Endpoint>,
    pub networks: Vec<Network>,
    pub vpcs: Vec<Vpc>,
    pub endpoint_host_cache: Vec<CacheEntry>,
    pub policy: Policy,
}

#[derive(Deserialize)]
pub struct Endpoint {
    pub vni: u32,
    pub ip: Ipv4,
    pub mac: Mac,
    #[serde(default)]
    pub kind: Kind,
    #[serde(default)]
    pub hosted_here: bool,
    #[serde(default)]
    pub remote_ips: Vec<Ipv4>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Simple,
    Scaled,
    Gateway,
}

#[derive(Deserialize)]
pub struct Network {
    pub vni: u32,
    pub cidr: String,
    #[serde(default)]
    pub bouncers: Vec<Ipv4>,
}

#[derive(Deserialize)]
pub struct Vpc {
    pub vni: u32,
    #[serde(default)]
    pub dividers: Vec<Ipv4>,
}

#[derive(Deserialize)]
pub struct CacheEntry {
    pub vni: u32,
    pub ip: Ipv4,
    pub host_ip: Ipv4,
    pub host_mac: Mac,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Policy {
    pub ingress: Rules,
    pub egress: Rules,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Rules {
    pub enforced: Vec<Ipv4>,
    pub ports: Vec<PortRule>,
    pub cidr_primary: Vec<CidrRule>,
    pub cidr_supplementary: Vec<CidrRule>,
    pub cidr_except: Vec<CidrRule>,
    pub pod_labels: Vec<LabelRule>,
    pub namespace_labels: Vec<LabelRule>,
    pub pod_and_namespace_labels: Vec<BothLabelsRule>,
}

#[derive(Deserialize)]
pub struct PortRule {
    pub local: Ipv4,
    pub proto: u8,
    pub port: u16,
    pub policies: u64,
}

#[derive(Deserialize)]
pub struct CidrRule {
    pub local: Ipv4,
    pub remote: String,
    pub policies: u64,
}

#[derive(Deserialize)]
pub struct LabelRule {
    pub label: u32,
    pub policies: u64,
}

#[derive(Deserialize)]
pub struct BothLabelsRule {
    #[serde(alias = "pod")]
    pub pod_label: u32,
    #[serde(alias = "namespace")]
    pub namespace_label: u32,
    pub policies: u64,
}

#[derive(Deserialize)]
pub struct Step {
    pub input: String,
    pub verdict: Verdict,
    pub port: Option<PortName>,
    pub output: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Redirect,
    Pass,
    Drop,
    Aborted,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum PortName {
    Uplink,
    Endpoint,
}
