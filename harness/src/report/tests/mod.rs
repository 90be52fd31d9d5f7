//! Tests of the report on runs that never took place.

mod apart;
mod events;
mod figures;
pub(crate) mod fixture;
mod folder;
mod forms;
mod hops;
mod hostile;
mod inside;
mod lead;
mod standing;
mod warnings;
mod words;

use super::{RunFolder, Written};

/// Writes the report on `folder` and returns the page, the Markdown and the pictures.
fn written(folder: &RunFolder) -> (String, String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    fixture::save(folder, dir.path());
    let Written {
        html,
        markdown,
        plots,
    } = super::write(dir.path()).unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap();
    (
        read(html),
        read(markdown),
        plots.into_iter().map(read).collect(),
    )
}

/// The page without the one script that it has.
fn without_script(html: &str) -> String {
    html.replace(&format!("<script>\n{}</script>", super::html::SORT), "")
}

/// The lines of `text` that contain all of `parts`.
fn lines<'a>(text: &'a str, parts: &[&str]) -> Vec<&'a str> {
    let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
    text.lines().filter(has_all).collect()
}
