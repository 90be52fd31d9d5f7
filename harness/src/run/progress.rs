//! Telling the user how far a run is.

/// Told of a run's progress. Amounts are seconds of trial time.
pub trait Progress {
    /// The run begins and will take this much.
    fn begin(&self, seconds: f64);
    /// What is done now.
    fn phase(&self, text: &str);
    /// Some of it is done.
    fn advance(&self, seconds: f64);
    /// Some of it will not be done.
    fn skip(&self, seconds: f64) {
        self.advance(seconds);
    }
    /// The run is over.
    fn end(&self);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: f64) {}
    fn phase(&self, _: &str) {}
    fn advance(&self, _: f64) {}
    fn end(&self) {}
}
