//! Droplets that run elsewhere, as in containers of their own, and are asked over a Unix socket.
//!
//! ```text
//!   tester (bench per-datapath --droplets DIR)            droplet (bench droplet --name left --meeting DIR)
//!
//!   Meeting ── listens at DIR/tester ◄───── hello ─────── serve
//!   Place   ── a veth pair's one end ─────────────────►   a network namespace of its own
//!   Remote: Running ◄──── questions and answers ──────►   Running
//! ```
//!
//! The droplet installs the datapath itself: processes, BPF programs and capabilities are its container's. The tester
//! makes the devices, so that nothing is between droplets but the underlay. Several datapaths take turns, and their
//! switches want the same device names, so each has a network namespace of its own within the container.
//!
//! Both sides must see the same process ids: the kernel's threads that receive are found, and timed, by theirs, and
//! belong to no container.

mod meeting;
mod place;
pub mod protocol;
mod serve;

pub use meeting::{Meeting, PATIENCE};
pub use place::Place;
pub use serve::{serve, serve_tester};

use std::path::PathBuf;

/// What can go wrong between a tester and droplets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder where they meet.
    #[error("{}: {reason}; expected a folder that the tester and all droplets have, see --droplets", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What is wrong with it.
        reason: std::io::Error,
    },
    /// Not all came.
    #[error(
        "{} did not come within {seconds} s; start `bench droplet --name NAME --meeting {}` for each, or their services",
        missing.join(", "), folder.display()
    )]
    Missing {
        /// Who.
        missing: Vec<String>,
        /// How long was waited.
        seconds: u64,
        /// Where.
        folder: PathBuf,
    },
    /// It was interrupted while it waited.
    #[error("interrupted while it waited for {}", .0.join(", "))]
    Interrupted(Vec<String>),
    /// A droplet of which nobody is here.
    #[error("droplet \"{0}\" is not among those that came")]
    Unknown(String),
    /// One that is gone, or says what it should not.
    #[error("droplet \"{name}\": {reason}")]
    Lost {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// The tester does not want this droplet.
    #[error("the tester does not take droplet \"{name}\": {reason}")]
    Refused {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
}
