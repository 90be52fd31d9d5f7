//! Which datapaths cannot be tested here.

use harness::registry;

/// Whether the datapath of this name lacks something here, which is said with what provides it: its tests are ignored.
pub fn lacks_something(name: &str) -> bool {
    // Of a name that is not known nothing is missing: its tests fail, and say so.
    let found = registry::select(&[name.to_owned()]).unwrap_or_default();
    let missing: Vec<_> = found.iter().flat_map(|it| it.probe()).collect();
    for missing in &missing {
        eprintln!("{name} is ignored: needs {missing}");
    }
    !missing.is_empty()
}
