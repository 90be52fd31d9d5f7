//! Tests of the search, from single formulas to whole searches against simulated devices.

mod checks;
mod device;
mod exact;
mod example_search;
mod golden;
mod loads;
mod precedence;
mod properties;
mod runs;
