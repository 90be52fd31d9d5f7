//! Names in a topology file: what they stand for, and that no two things share one.

use super::{Index, Problem, file};
use std::ops::Range;
use toml::Spanned;

/// `Err` is a place in the file and what is wrong there.
pub type Loaded<T> = Result<T, (Range<usize>, Problem)>;

/// The position of `name` among `known`.
pub fn find<'a>(
    what: &'static str,
    name: &file::Name,
    known: impl Iterator<Item = &'a file::Name> + Clone,
) -> Loaded<Index> {
    known
        .clone()
        .position(|other| other.get_ref() == name.get_ref())
        .ok_or_else(|| {
            let known = known.map(|other| other.get_ref().clone()).collect();
            (
                name.span(),
                Problem::Undefined {
                    what,
                    name: name.get_ref().clone(),
                    known,
                },
            )
        })
}

/// Refuses a name that comes twice.
pub fn names_differ<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a file::Name>,
) -> Loaded<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name.get_ref()) {
            let problem = Problem::DefinedTwice {
                what,
                name: name.get_ref().clone(),
            };
            return Err((name.span(), problem));
        }
    }
    Ok(())
}

/// Refuses an address or identifier that comes twice.
pub fn values_differ<'a, T: Copy + Eq + std::hash::Hash + std::fmt::Display + 'a>(
    values: impl Iterator<Item = (&'a file::Name, &'a Spanned<T>)>,
) -> Loaded<()> {
    let mut owners = std::collections::HashMap::new();
    for (name, value) in values {
        if let Some(owner) = owners.insert(*value.get_ref(), name.get_ref()) {
            let address = value.get_ref().to_string();
            let problem = Problem::AddressTaken {
                address,
                owner: owner.clone(),
            };
            return Err((value.span(), problem));
        }
    }
    Ok(())
}
