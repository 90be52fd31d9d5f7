//! What can be wrong with a topology file, and where.

use crate::provision::CidrError;
use mizar_wire::Ipv4;

/// A topology that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("{place}: {problem}")]
    Wrong {
        /// Where.
        place: Place,
        /// What, and what was expected.
        problem: Problem,
    },
    /// No topology of that name is built in, and there is no such file.
    #[error("topology `{name}` is neither built in ({}) nor a file", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What is built in.
        known: Vec<&'static str>,
    },
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from one.
    pub line: usize,
    /// The column in characters, from one.
    pub column: usize,
}

impl Place {
    /// The place of the character at byte `offset` of `text`.
    pub(super) fn of(file: &str, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not TOML, an unknown key, or a value of another type.
    #[error("{0}")]
    Toml(String),
    /// A name that nothing has.
    #[error("{what} \"{name}\" is not defined; {}", one_of(known))]
    Undefined {
        /// What sort of thing.
        what: &'static str,
        /// The name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// A name that two things have.
    #[error("{what} \"{name}\" is defined twice; expected a name that no other {what} has")]
    DefinedTwice {
        /// What sort of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// An address, or identifier, that two things have.
    #[error("{address} belongs to \"{owner}\" already; expected one of its own")]
    AddressTaken {
        /// The address.
        address: String,
        /// Who has it.
        owner: String,
    },
    /// A network with an access list and another one of the VPC share addresses.
    #[error(
        "network \"{network}\" has an access list and shares addresses with \"{other}\"; expected none in common, or it could not be told who comes from within"
    )]
    Overlap {
        /// The network with the list.
        network: String,
        /// The other one.
        other: String,
    },
    /// A prefix that cannot be read.
    #[error(transparent)]
    Cidr(#[from] CidrError),
    /// Endpoints that do not fit their network.
    #[error("endpoints {first} to {last} do not lie in network \"{network}\", {cidr}")]
    OutsideNetwork {
        /// The first address.
        first: Ipv4,
        /// The last address.
        last: Ipv4,
        /// The network.
        network: String,
        /// Its prefix.
        cidr: String,
    },
    /// A range of addresses that does not fit into the address space.
    #[error(
        "{count} consecutive addresses from {first} on do not exist; expected a lower first one"
    )]
    RangeOverflow {
        /// The first address.
        first: String,
        /// How many.
        count: u32,
    },
    /// More than Mizar declares.
    #[error("{found} {what}; expected at most {limit}, which is what Mizar declares")]
    Capacity {
        /// What there is too much of.
        what: String,
        /// How much.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// More than one droplet is under test.
    #[error("\"{first}\" is under test already; expected one droplet alone")]
    SecondUnderTest {
        /// The other droplet.
        first: String,
    },
    /// A key that must be there.
    #[error("{what} lacks {key}")]
    Lacks {
        /// What sort of thing.
        what: &'static str,
        /// The key, or a choice of keys.
        key: &'static str,
    },
    /// A key that makes no sense here.
    #[error("{key} means nothing {context}; expected it left out")]
    Meaningless {
        /// The key.
        key: &'static str,
        /// Where it stands.
        context: &'static str,
    },
    /// An empty list.
    #[error("{what} is empty; expected at least one")]
    Empty {
        /// Which list.
        what: &'static str,
    },
    /// Endpoints of one flow, some on the droplet under test and some elsewhere.
    #[error(
        "endpoints \"{endpoints}\" lie partly on \"{droplet}\"; expected all or none of a flow's \
         endpoints on the droplet under test"
    )]
    Straddles {
        /// The endpoints.
        endpoints: String,
        /// The droplet under test.
        droplet: String,
    },
    /// What is no range of ports.
    #[error(
        "`{found}` is no port and no range of them; expected for example \"80\" or \"8000-8080\""
    )]
    Ports {
        /// The text.
        found: String,
    },
    /// Flows that an access list forbids.
    #[error(
        "the access list of network \"{network}\" denies these flows, so that no frame would come through; \
         expected a rule that allows them"
    )]
    Forbidden {
        /// The network.
        network: String,
    },
    /// An event that moves endpoints in front of others of the same droplet.
    #[error(
        "\"{endpoints}\" would come to another port by this event; expected endpoints that move to stand behind those that \
         stay"
    )]
    Renumbers {
        /// The endpoints that stay.
        endpoints: String,
    },
    /// A flow that the droplet under test never sees.
    #[error("these flows go {way} and do not cross \"{droplet}\"; expected flows that do")]
    Avoids {
        /// How they go.
        way: String,
        /// The droplet under test.
        droplet: String,
    },
    /// Flows between VPCs.
    #[error("\"{from}\" and \"{to}\" are in different VPCs; expected flows within one")]
    AcrossVpcs {
        /// The source.
        from: String,
        /// The destination.
        to: String,
    },
    /// Flows whose destination is a scaled endpoint.
    #[error(
        "\"{to}\" is a scaled endpoint, to which no flow is steady; expected one of its backends"
    )]
    ToScaled {
        /// The destination.
        to: String,
    },
}

fn one_of(known: &[String]) -> String {
    if known.is_empty() {
        "there is none".to_owned()
    } else {
        format!("expected one of: {}", known.join(", "))
    }
}
