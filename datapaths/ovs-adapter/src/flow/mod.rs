//! Rules of a switch as values: what OpenFlow and the extensions of Open vSwitch can say, as far as it is
//! needed here.
//!
//! [`crate::openflow`] writes them onto the wire, [`crate::interpreter`] evaluates them without a switch.

mod action;
mod field;
pub(crate) mod packet;
mod rule;
mod value;

pub use action::{Action, Ct, Learn, LearnSource, LearnSpec, Multipath, PortNumber, Source};
pub use field::{Field, Slice, ct_state, fragment};
pub use rule::{Cookie, Masked, Match, Priority, Rule, Table};
pub use value::Value;

/// Bytes of each Geneve option that the TLV table maps to a [`Field::Option`], by index; see
/// [`crate::program::options`].
pub const OPTION_LENGTHS: [u8; 8] = [12, 12, 12, 28, 28, 4, 4, 0];
