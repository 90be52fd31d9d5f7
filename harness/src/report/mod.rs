//! The report on a run: one page with pictures, Markdown, a table for the terminal, and the figures as JSON.
//!
//! All four are written from the same [`RunFolder`] and say the same. [`write()`] fills the run's folder:
//!
//! ```text
//! report.html   one file, pictures inside, nothing loaded from elsewhere
//! report.md     the same with links to the pictures
//! plots/*.svg   the pictures
//! ```

pub(crate) mod apart;
pub(crate) mod cell;
mod compose;
mod document;
mod events;
pub(crate) mod figures;
pub mod flow_setup;
mod folder;
mod hops;
mod html;
pub(crate) mod inside;
mod json;
mod latency;
pub(crate) mod lead;
mod markdown;
mod plots;
mod saved;
pub mod sockets;
pub mod stages;
mod standing;
mod telling;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod units;
pub(crate) mod warnings;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};

pub use folder::{RUN, ReadError, RunFolder};
pub use plots::PlotError;
pub use saved::Error;

use figures::Figures;
use saved::{save, save_plots};

/// Name of the folder of pictures.
const PLOTS: &str = "plots";

/// The files a report consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The Markdown.
    pub markdown: PathBuf,
    /// The pictures.
    pub plots: Vec<PathBuf>,
}

/// Reads the run in the folder `dir` and writes the report into it, in place of an earlier one.
pub fn write(dir: &Path) -> Result<Written, Error> {
    let folder = RunFolder::read(dir)?;
    let figures = Figures::of(&folder);
    let pictures = plots::draw(&figures)?;
    let document = compose::document(&figures, &pictures);
    let html = html::page(&compose::title(&figures), &document)?;
    let markdown = markdown::page(&document)?;
    let all = pictures.all();
    let plots = save_plots(dir, all)?;
    Ok(Written {
        html: save(dir.join("report.html"), &html)?,
        markdown: save(dir.join("report.md"), &markdown)?,
        plots,
    })
}

/// The figures as a table of plain text, at most 100 columns wide, warnings first. Rates are in Mpps.
pub fn terminal_table(folder: &RunFolder) -> String {
    terminal::table(&Figures::of(folder))
}

/// The figures as JSON: rates in frames per second, times in nanoseconds, as the names say.
pub fn summary_json(folder: &RunFolder) -> serde_json::Value {
    json::summary(&Figures::of(folder))
}
