//! What can go wrong with a datapath.

use crate::ports::PortType;

/// Why a datapath could not do something; the text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not work on these ports.
    #[error("{datapath} works on {supported} ports, not on {given}")]
    Ports {
        /// The datapath.
        datapath: &'static str,
        /// What it works on.
        supported: PortType,
        /// What it was given.
        given: PortType,
    },
    /// What it shall know exceeds what it can hold.
    #[error("{0}")]
    Capacity(String),
    /// A device could not be set up.
    #[error(transparent)]
    Device(#[from] netdev::Error),
    /// The kernel refused a program; `log` is the verifier's.
    #[error("the kernel's verifier refused {program}: {reason}\n{log}")]
    Verifier {
        /// Which program.
        program: String,
        /// The kernel's error.
        reason: String,
        /// What the verifier said.
        log: String,
    },
    /// Something else failed.
    #[error("{doing}: {reason}")]
    Failed {
        /// What was tried.
        doing: String,
        /// What was answered, and what to do about it.
        reason: String,
    },
}

impl Error {
    /// `doing` failed for `reason`.
    pub fn failed(doing: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Failed {
            doing: doing.into(),
            reason: reason.to_string(),
        }
    }
}
