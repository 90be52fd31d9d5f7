//! What a datapath asks of a host that is to run it for good.
//!
//! Beside [`crate::Datapath::probe`], which says what this very machine lacks: these are facts about the datapath, for
//! deciding about hosts that are not here.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A release of Linux, by its first two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelRelease {
    major: u16,
    minor: u16,
}

/// Text that is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kernel release; expected one like \"5.15\"")]
pub struct NoRelease(String);

impl KernelRelease {
    /// A release.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl FromStr for KernelRelease {
    type Err = NoRelease;

    /// Reads `5.15`; what follows the second number, as in `5.15.0-91-generic`, is left aside.
    fn from_str(text: &str) -> Result<Self, NoRelease> {
        let number = |part: Option<&str>| {
            let part = part?;
            let digits = part.len()
                - part
                    .trim_start_matches(|it: char| it.is_ascii_digit())
                    .len();
            part[..digits].parse().ok()
        };
        let mut parts = text.trim().split('.');
        number(parts.next())
            .zip(number(parts.next()))
            .map(|(major, minor)| Self { major, minor })
            .ok_or_else(|| NoRelease(text.to_owned()))
    }
}

impl fmt::Display for KernelRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl TryFrom<String> for KernelRelease {
    type Error = NoRelease;

    fn try_from(text: String) -> Result<Self, NoRelease> {
        text.parse()
    }
}

impl From<KernelRelease> for String {
    fn from(release: KernelRelease) -> Self {
        release.to_string()
    }
}

/// What a datapath asks of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The oldest kernel that has all it uses; none where any will do.
    pub kernel: Option<KernelRelease>,
    /// Hugepages for a droplet, in mebibytes.
    pub hugepages_mib: u32,
    /// Whether it loads programs into the kernel.
    pub kernel_programs: bool,
    /// Whether a stock Open vSwitch is in control, so that what speaks OpenFlow to a host keeps its say.
    pub open_vswitch: bool,
}

impl Needs {
    /// Nothing in particular.
    pub const NONE: Self = Self {
        kernel: None,
        hugepages_mib: 0,
        kernel_programs: false,
        open_vswitch: false,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        let release = |text: &str| text.parse::<KernelRelease>().unwrap();
        assert_eq!(release("5.15"), KernelRelease::new(5, 15));
        assert_eq!(release("6.1.0-18-amd64"), KernelRelease::new(6, 1));
        assert_eq!(release("6.18-rc2"), KernelRelease::new(6, 18));
        assert!(release("5.4") < release("5.15") && release("5.15") < release("6.1"));
        assert_eq!(release("5.4").to_string(), "5.4");
    }

    #[test]
    fn what_is_no_release_is_refused() {
        for wrong in ["", "5", "five.four", "5.", ".4", "99999999.1"] {
            assert!(wrong.parse::<KernelRelease>().is_err(), "{wrong}");
        }
    }
}
