//! A progress bar on the terminal, or now and then a line where there is none.

use crate::run::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Milliseconds of trial time are its unit.
pub struct Bar {
    bar: ProgressBar,
    /// When a line was written last.
    told: Mutex<Option<Instant>>,
}

/// Between two lines where there is no terminal.
const BETWEEN: Duration = Duration::from_secs(15);

impl Bar {
    /// A bar on standard error; lines where that is not a terminal.
    pub fn new() -> Self {
        let bar = ProgressBar::new(1);
        // No guess at what is left: half of a run is set-up and verification, which is no trial time.
        let template = "{bar:20} {percent:>3} % of trial time, {elapsed} passed  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        let told = Mutex::new(None);
        Self { bar, told }
    }

    /// Writes a line, if the last one is old enough.
    fn tell(&self, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|last| last.elapsed() >= BETWEEN) {
            *told = Some(Instant::now());
            eprintln!("bench: {text}");
        }
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
        self.bar.set_length(milliseconds(seconds).max(1));
    }

    fn phase(&self, text: &str) {
        tracing::info!("{text}");
        self.bar.set_message(text.to_owned());
        if self.bar.is_hidden() {
            self.tell(text);
        }
    }

    fn advance(&self, seconds: f64) {
        self.bar.inc(milliseconds(seconds));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
