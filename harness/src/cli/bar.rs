//! A progress bar on the terminal.

use crate::run::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Milliseconds of trial time are its unit.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar on standard error; invisible where that is not a terminal.
    pub fn new() -> Self {
        let bar = ProgressBar::new(1);
        // No guess at what is left: half of a run is set-up and verification, which is no trial time.
        let template = "{bar:20} {percent:>3} % of trial time, {elapsed} passed  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }
}

/// Minutes, or seconds where it is a few.
fn rounded(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}

impl Progress for Bar {
    fn begin(&self, seconds: f64) {
        eprintln!(
            "bench: trials take {} at most; set-up between them comes on top, and is often as much again",
            rounded(seconds)
        );
        self.0.set_length(milliseconds(seconds).max(1));
    }

    fn phase(&self, text: &str) {
        tracing::info!("{text}");
        self.0.set_message(text.to_owned());
    }

    fn advance(&self, seconds: f64) {
        self.0.inc(milliseconds(seconds));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
