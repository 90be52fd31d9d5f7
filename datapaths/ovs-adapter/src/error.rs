//! What can go wrong with an Open vSwitch.

use crate::installation::Version;
use crate::openflow::Refusal;
use std::io;
use std::path::PathBuf;

/// What can go wrong with an Open vSwitch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the installation is not where Debian and Ubuntu put it.
    #[error("{} is not there; the package {package} has it", path.display())]
    NotInstalled {
        /// The file.
        path: PathBuf,
        /// The package that has it.
        package: &'static str,
    },
    /// The installation is older than what is supported.
    #[error(
        "Open vSwitch {found} is too old: {} or newer is needed",
        Version::OLDEST
    )]
    TooOld {
        /// Its version.
        found: Version,
    },
    /// A program does not say its version in a known form.
    #[error("`{program} --version` says no version but: {said}")]
    NoVersion {
        /// The program.
        program: String,
        /// What it printed.
        said: String,
    },
    /// A system call failed.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program did not start, or ended.
    #[error(transparent)]
    Process(#[from] netdev::process::Error),
    /// An appctl command failed.
    #[error("ovs-appctl {command}: {reason}")]
    Control {
        /// The command with its arguments.
        command: String,
        /// Why.
        reason: String,
    },
    /// The database refused something.
    #[error("OVSDB, {doing}: {reason}")]
    Database {
        /// What was tried.
        doing: String,
        /// What it says.
        reason: String,
    },
    /// A device of the droplet could not be set up.
    #[error(transparent)]
    Device(#[from] netdev::Error),
    /// An interface was accepted by the database but could not be opened.
    #[error("Open vSwitch cannot open interface {name}: {reason}")]
    Interface {
        /// The interface.
        name: String,
        /// What Open vSwitch says.
        reason: String,
    },
    /// An OpenFlow connection failed.
    #[error("OpenFlow, {doing}: {reason}")]
    OpenFlow {
        /// What was tried.
        doing: String,
        /// Why it failed.
        reason: String,
    },
    /// A switch refused a rule or a request.
    #[error("Open vSwitch refuses {what}: {refusal}")]
    Refused {
        /// What it refused.
        what: String,
        /// Why.
        refusal: Refusal,
    },
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}
