//! Network policy, and connection tracking for TCP and UDP.

use super::inner::{Tuple, UDP};
use super::{Oracle, Step, abort};
use crate::provision::{CidrRule, LabelRule, PolicySet, Rules};
use mizar_wire::{Ipv4, Vni};

/// What is remembered of a flow's first direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracked {
    denied: bool,
    /// Replies are judged by policy anew, not by `denied`: so for UDP.
    reevaluate: bool,
}

/// One end of a flow looked at by policy.
struct Question<'a> {
    rules: &'a Rules,
    vni: Vni,
    local: Ipv4,
    remote: Ipv4,
    protocol: u8,
    dst_port: u16,
    pod_label: u32,
    namespace_label: u32,
}

impl Oracle {
    /// Judges what an endpoint sends.
    pub(super) fn egress(&mut self, vni: Vni, tuple: Tuple) -> Step<()> {
        if !tuple.is_tracked() {
            return Ok(());
        }
        if let Some(state) = self.tracked.get(&(vni, tuple.reversed())) {
            let denied = if state.reevaluate {
                !self.ingress_allows(vni, tuple.reversed(), (0, 0))
            } else {
                state.denied
            };
            return if denied {
                Err(abort("reply of a denied flow"))
            } else {
                Ok(())
            };
        }
        let denied = !self.egress_allows(vni, tuple);
        self.track(vni, tuple, denied);
        if denied {
            Err(abort("denied by egress policy"))
        } else {
            Ok(())
        }
    }

    /// Judges what arrives. Labels are asked for only where they are looked at.
    pub(super) fn ingress(
        &mut self,
        vni: Vni,
        tuple: Tuple,
        labels: impl FnOnce() -> Step<(u32, u32)>,
    ) -> Step<()> {
        if !tuple.is_tracked() {
            return Ok(());
        }
        if let Some(state) = self.tracked.get(&(vni, tuple.reversed())) {
            let denied = if state.reevaluate {
                !self.egress_allows(vni, tuple.reversed())
            } else {
                state.denied
            };
            return if denied {
                Err(abort("reply of a denied flow"))
            } else {
                Ok(())
            };
        }
        let denied = !self.ingress_allows(vni, tuple, labels()?);
        self.track(vni, tuple, denied);
        if denied {
            Err(abort("denied by ingress policy"))
        } else {
            Ok(())
        }
    }

    fn track(&mut self, vni: Vni, tuple: Tuple, denied: bool) {
        let reevaluate = tuple.protocol == UDP;
        self.tracked
            .insert((vni, tuple), Tracked { denied, reevaluate });
    }

    fn ingress_allows(&self, vni: Vni, tuple: Tuple, labels: (u32, u32)) -> bool {
        let (pod_label, namespace_label) = labels;
        Question {
            rules: &self.tables.ingress,
            vni,
            local: tuple.dst,
            remote: tuple.src,
            protocol: tuple.protocol,
            dst_port: tuple.dst_port,
            pod_label,
            namespace_label,
        }
        .allowed()
    }

    fn egress_allows(&self, vni: Vni, tuple: Tuple) -> bool {
        Question {
            rules: &self.tables.egress,
            vni,
            local: tuple.src,
            remote: tuple.dst,
            protocol: tuple.protocol,
            dst_port: tuple.dst_port,
            // Egress policy knows no labels.
            pod_label: 0,
            namespace_label: 0,
        }
        .allowed()
    }
}

impl Question<'_> {
    fn allowed(&self) -> bool {
        if !self.rules.enforced.contains(&(self.vni, self.local)) {
            return true;
        }
        let by_port = self.by_port(0, 0) | self.by_port(self.protocol, self.dst_port);
        if by_port == 0 {
            return false;
        }
        let (pod, namespace) = (self.pod_label, self.namespace_label);
        let pod_set = if pod > 0 { self.by_labels(pod, 0) } else { 0 };
        let namespace_set = if namespace > 0 {
            self.by_labels(0, namespace)
        } else {
            0
        };
        let both_set = if pod > 0 && namespace > 0 {
            self.by_labels(pod, namespace)
        } else {
            0
        };
        let primary = self.by_prefix(&self.rules.cidr_primary);
        let supplementary = self.by_prefix(&self.rules.cidr_supplementary);
        let except = self.by_prefix(&self.rules.cidr_except);

        by_port & pod_set != 0
            || by_port & namespace_set != 0
            || by_port & both_set != 0
            || by_port & primary != 0
            || by_port & supplementary & !except != 0
    }

    fn by_port(&self, protocol: u8, port: u16) -> u64 {
        let found = self.rules.ports.iter().find(|rule| {
            rule.vni == self.vni
                && rule.local == self.local
                && rule.protocol == protocol
                && rule.port == port
        });
        found.map_or(0, |rule| rule.policies.0)
    }

    fn by_labels(&self, pod: u32, namespace: u32) -> u64 {
        let matches = |rule: &&LabelRule| {
            rule.vni == self.vni && rule.pod == pod && rule.namespace == namespace
        };
        self.rules
            .labels
            .iter()
            .find(matches)
            .map_or(0, |rule| rule.policies.0)
    }

    /// The longest prefix that holds the other end decides alone.
    fn by_prefix(&self, rules: &[CidrRule]) -> u64 {
        rules
            .iter()
            .filter(|rule| {
                rule.vni == self.vni
                    && rule.local == self.local
                    && rule.remote.contains(self.remote)
            })
            .max_by_key(|rule| rule.remote.length())
            .map_or(0, |rule| {
                let PolicySet(policies) = rule.policies;
                policies
            })
    }
}
