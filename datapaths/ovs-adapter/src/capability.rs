//! What an installed Open vSwitch can do: it was built with some features or without.

use crate::{Error, Flavour, Installation, Instance};
use datapath_api::Missing;
use netdev::Namespace;
use std::sync::OnceLock;

/// What is missing for interfaces of type `kind`. The switch itself is asked, once in a process: an instance without
/// bridges is started for it, which needs root.
pub fn lacks_interface_type(kind: &str) -> Option<Missing> {
    // Why it cannot be asked does not change, and an error cannot be kept in two places.
    static TYPES: OnceLock<Result<Vec<String>, String>> = OnceLock::new();
    let types = TYPES.get_or_init(|| ask().map_err(|error| error.to_string()));
    judge(kind, types)
}

fn ask() -> Result<Vec<String>, Error> {
    let installation = Installation::find(Flavour::Stock)?;
    let namespace = Namespace::new()?;
    let instance = Instance::start(&installation, &namespace, None, &[])?;
    instance.database()?.interface_types()
}

fn judge(kind: &str, types: &Result<Vec<String>, String>) -> Option<Missing> {
    match types {
        Ok(types) if types.iter().any(|known| known == kind) => None,
        Ok(types) => Some(Missing::new(
            format!(
                "interfaces of type {kind}: this Open vSwitch was built without, it has {}",
                types.join(", ")
            ),
            "install one that has them, as Debian's and Ubuntu's do",
        )),
        Err(error) => Some(Missing::new(
            format!("an Open vSwitch that starts: {error}"),
            format!("apt-get install --reinstall {}", Flavour::Stock.package()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_without_the_type_or_that_does_not_start_is_told() {
        let types = |kinds: &[&str]| Ok(kinds.iter().map(|kind| (*kind).to_owned()).collect());
        assert_eq!(judge("afxdp", &types(&["geneve", "afxdp"])), None);
        let missing = judge("afxdp", &types(&["geneve", "afxdp-nonpmd"])).unwrap();
        let told = missing.to_string();
        assert!(
            told.contains("built without") && told.contains("geneve"),
            "{told}"
        );
        let broken = Err("ovs-vswitchd ended".to_owned());
        let told = judge("afxdp", &broken).unwrap().to_string();
        assert!(
            told.contains("ovs-vswitchd ended") && told.contains("reinstall"),
            "{told}"
        );
    }
}
