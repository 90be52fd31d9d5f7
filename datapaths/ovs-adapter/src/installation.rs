//! Where an Open vSwitch is installed, and which one it is.

use crate::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Which build of Open vSwitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// The ordinary one.
    Stock,
    /// The one linked with DPDK.
    Dpdk,
}

impl Flavour {
    /// The Debian and Ubuntu package that has it.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Stock => "openvswitch-switch",
            Self::Dpdk => "openvswitch-switch-dpdk",
        }
    }

    const fn vswitchd(self) -> &'static str {
        match self {
            Self::Stock => "/usr/lib/openvswitch-switch/ovs-vswitchd",
            Self::Dpdk => "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk",
        }
    }
}

/// A version of Open vSwitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// The oldest that is supported: that of Debian 12, on which this was measured.
    pub const OLDEST: Self = Self {
        major: 3,
        minor: 1,
        patch: 0,
    };

    /// The version in the first line that a program prints for `--version`, as in
    /// `ovs-vswitchd (Open vSwitch) 3.1.0`.
    fn of(printed: &str) -> Option<Self> {
        let number = printed.lines().next()?.split_whitespace().last()?;
        let mut parts = number.split(['.', '-', '+']).map(str::parse);
        Some(Self {
            major: parts.next()?.ok()?,
            minor: parts.next()?.ok()?,
            patch: parts.next().and_then(Result::ok).unwrap_or(0),
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The programs of one Open vSwitch, found by their paths: what runs on the machine already is of no interest.
#[derive(Debug, Clone)]
pub struct Installation {
    /// `ovs-vswitchd` of the flavour.
    pub vswitchd: PathBuf,
    /// `ovsdb-server`.
    pub ovsdb_server: PathBuf,
    /// `ovsdb-tool`.
    pub ovsdb_tool: PathBuf,
    /// The schema of the database.
    pub schema: PathBuf,
    /// Version of `ovs-vswitchd`.
    pub version: Version,
}

impl Installation {
    /// The installation of `flavour` on this machine. What was found once is not looked for again.
    ///
    /// # Errors
    /// Where a file is missing, or the version is too old or unknown.
    pub fn find(flavour: Flavour) -> Result<Self, Error> {
        static STOCK: OnceLock<Installation> = OnceLock::new();
        static DPDK: OnceLock<Installation> = OnceLock::new();
        let known = match flavour {
            Flavour::Stock => &STOCK,
            Flavour::Dpdk => &DPDK,
        };
        match known.get() {
            Some(found) => Ok(found.clone()),
            None => {
                let found = Self::look(flavour)?;
                Ok(known.get_or_init(|| found).clone())
            }
        }
    }

    fn look(flavour: Flavour) -> Result<Self, Error> {
        let file = |path: &str, package: &'static str| {
            let path = PathBuf::from(path);
            if path.is_file() {
                Ok(path)
            } else {
                Err(Error::NotInstalled { path, package })
            }
        };
        let vswitchd = file(flavour.vswitchd(), flavour.package())?;
        let version = version(&vswitchd)?;
        if version < Version::OLDEST {
            return Err(Error::TooOld { found: version });
        }
        Ok(Self {
            vswitchd,
            ovsdb_server: file("/usr/sbin/ovsdb-server", "openvswitch-common")?,
            ovsdb_tool: file("/usr/bin/ovsdb-tool", "openvswitch-common")?,
            schema: file(
                "/usr/share/openvswitch/vswitch.ovsschema",
                Flavour::Stock.package(),
            )?,
            version,
        })
    }
}

fn version(program: &Path) -> Result<Version, Error> {
    let name = program.display().to_string();
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(Error::io(format!("running {name} --version")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Version::of(&said).ok_or(Error::NoVersion {
        program: name,
        said,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let of = |text: &str| Version::of(text).map(|version| version.to_string());
        assert_eq!(
            of("ovs-vswitchd (Open vSwitch) 3.1.0\nDPDK 22.11.11\n").as_deref(),
            Some("3.1.0")
        );
        assert_eq!(
            of("ovs-vswitchd (Open vSwitch) 3.3.0-1ubuntu").as_deref(),
            Some("3.3.0")
        );
        assert_eq!(of("ovs-vswitchd"), None);
        assert_eq!(of(""), None);
        let old = Version::of("ovs-vswitchd (Open vSwitch) 2.17.9").unwrap_or(Version::OLDEST);
        assert!(old < Version::OLDEST);
    }

    #[test]
    fn what_is_not_installed_is_named_with_its_package() {
        let error = Error::NotInstalled {
            path: PathBuf::from(Flavour::Dpdk.vswitchd()),
            package: Flavour::Dpdk.package(),
        };
        let told = error.to_string();
        assert!(
            told.contains("package openvswitch-switch-dpdk has it"),
            "{told}"
        );
    }
}
