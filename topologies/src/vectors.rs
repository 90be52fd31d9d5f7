//! Golden vectors: frames that Mizar's own programs were fed, and what those programs did with them.
//!
//! A vector is one program instance on one droplet: the tables it was given, the frames it got one after
//! another, and its direct-path cache at the end. Being compatible with Mizar means doing the same.

mod convert;
mod file;

use crate::oracle::{Outcome, Why};
use crate::provision::{DirectPath, Port, Provision};
use std::path::{Path, PathBuf};

/// Which of Mizar's programs a vector was recorded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// The transit agent: frames enter from an endpoint.
    Agent,
    /// Transit: frames enter from the uplink.
    Transit,
}

/// What a program must do with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Send it out of a port.
    Forward {
        /// Where it leaves.
        port: Port,
        /// How it leaves.
        frame: Vec<u8>,
    },
    /// Hand it to the host's network stack.
    ToStack {
        /// How it goes up.
        frame: Vec<u8>,
    },
    /// End it.
    Dropped(Why),
}

impl Expected {
    /// Whether this is what happened.
    pub fn matches(&self, outcome: &Outcome) -> bool {
        *self == Self::from(outcome.clone())
    }
}

impl From<Outcome> for Expected {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Forward { port, frame } => Self::Forward { port, frame },
            Outcome::ToStack { frame } => Self::ToStack { frame },
            Outcome::Dropped { why, .. } => Self::Dropped(why),
        }
    }
}

/// One frame of a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where the frame enters.
    pub ingress: Port,
    /// The frame.
    pub input: Vec<u8>,
    /// What must become of it.
    pub expected: Expected,
}

/// One golden vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// Its name, unique in its file.
    pub name: String,
    /// The program it was recorded from.
    pub program: Program,
    /// What the droplet knows at the start.
    pub provision: Provision,
    /// Frames, in order; state carries over from one to the next.
    pub steps: Vec<Step>,
    /// The direct-path cache at the end, sorted by network identifier and address.
    pub direct_paths_after: Vec<DirectPath>,
}

/// Why vectors cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VectorsError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not JSON, or has no list of vectors.
    #[error(
        "{}no golden vectors, which are JSON with a list `vectors`: {source}",
        prefix(file)
    )]
    NotVectors {
        /// The file, where the text came from one.
        file: Option<PathBuf>,
        /// What is wrong with it, and where.
        source: serde_json::Error,
    },
    /// A vector lacks a field, or a field has another type.
    #[error("{}vector {vector}: {source}", prefix(file))]
    Malformed {
        /// The file, where the text came from one.
        file: Option<PathBuf>,
        /// The vector, by name or by its number from zero.
        vector: String,
        /// Which field, as a path from the vector, and what is wrong with it.
        source: serde_path_to_error::Error<serde_json::Error>,
    },
    /// A field says something that cannot be.
    #[error("{}vector {vector}: {field}: {problem}", prefix(file))]
    Field {
        /// The file, where the text came from one.
        file: Option<PathBuf>,
        /// The vector's name.
        vector: String,
        /// The field, as a path from the vector.
        field: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
}

fn prefix(file: &Option<PathBuf>) -> String {
    file.as_ref()
        .map(|file| format!("{}: ", file.display()))
        .unwrap_or_default()
}

impl VectorsError {
    fn in_file(mut self, path: &Path) -> Self {
        match &mut self {
            Self::Unreadable { .. } => {}
            Self::NotVectors { file, .. }
            | Self::Malformed { file, .. }
            | Self::Field { file, .. } => *file = Some(path.to_owned()),
        }
        self
    }
}

/// The vectors that the project carries: recorded from Mizar at 73965a6.
pub const BUILT_IN: &str = include_str!("../testdata/mizar-xdp.json");

/// Reads vectors from a file's text.
///
/// # Errors
///
/// Names the vector and the field that cannot be understood.
pub fn parse(text: &str) -> Result<Vec<Vector>, VectorsError> {
    let file: file::File = serde_json::from_str(text)
        .map_err(|source| VectorsError::NotVectors { file: None, source })?;
    let mut vectors = Vec::new();
    for (number, value) in file.vectors.into_iter().enumerate() {
        let named = value
            .get("name")
            .and_then(|name| name.as_str())
            .map(str::to_owned);
        let vector: file::Vector = serde_path_to_error::deserialize(value).map_err(|source| {
            let vector = named.unwrap_or_else(|| format!("number {number}"));
            VectorsError::Malformed {
                file: None,
                vector,
                source,
            }
        })?;
        vectors.push(convert::vector(vector)?);
    }
    Ok(vectors)
}

/// Reads vectors from a file.
///
/// # Errors
///
/// Names the file, the vector and the field that cannot be understood.
pub fn load(path: &Path) -> Result<Vec<Vector>, VectorsError> {
    let text = std::fs::read_to_string(path).map_err(|source| VectorsError::Unreadable {
        file: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|error| error.in_file(path))
}
