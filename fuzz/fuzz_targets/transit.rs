//! Random frames that arrive at the uplink.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mizar_fuzz::{Verdict, World};
use std::sync::LazyLock;

static WORLDS: LazyLock<Vec<World>> = LazyLock::new(World::all);

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((world, frame)) = mizar_fuzz::split(&WORLDS, input) else {
        return Corpus::Reject;
    };
    match world.transit(frame) {
        Verdict::Agree => Corpus::Keep,
        Verdict::Differ(difference) => panic!("{difference}"),
    }
});
