//! Reading a run's folder.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::fixture;
use crate::record::SCHEMA;
use crate::report::{self, ReadError, RunFolder};

fn append(dir: &Path, bytes: &[u8]) {
    let path = dir.join("trials.jsonl");
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn saved() -> (tempfile::TempDir, RunFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = fixture::run();
    fixture::save(&folder, dir.path());
    (dir, folder)
}

#[test]
fn what_was_saved_is_read() {
    let (dir, folder) = saved();
    assert!(RunFolder::read(dir.path()).unwrap() == folder);
}

#[test]
fn a_cut_off_last_line_is_left_out_and_reported() {
    let (dir, folder) = saved();
    append(dir.path(), br#"{"kind":"trial","number":7,"at_sec"#);
    let read = RunFolder::read(dir.path()).unwrap();
    assert!(read.records == folder.records);
    assert!(read.damage.cut_off);
    assert!(read.damage.unreadable.is_empty());
    assert!(report::terminal_table(&read).contains("last line of trials.jsonl is cut off"));
    let (html, markdown, _) = super::written(&read);
    // The saved copy has no damage, so that the warning comes from the file alone.
    assert!(!html.contains("cut off") && !markdown.contains("cut off"));
    let written = report::write(dir.path()).unwrap();
    for path in [written.html, written.markdown] {
        assert!(fs::read_to_string(path).unwrap().contains("is cut off"));
    }
}

#[test]
fn unreadable_lines_are_counted() {
    let (dir, folder) = saved();
    let lines = folder.records.len() as u64;
    append(dir.path(), b"{}\n\n\xff\xfe\n{\"kind\":\"else\"}\n");
    let read = RunFolder::read(dir.path()).unwrap();
    assert!(read.records == folder.records);
    assert!(!read.damage.cut_off);
    assert_eq!(read.damage.unreadable, [lines + 1, lines + 3, lines + 4]);
    let table = report::terminal_table(&read);
    assert!(
        table.starts_with("warning: 3 lines of trials.jsonl could not be read"),
        "{table}"
    );
}

#[test]
fn a_newer_schema_is_refused_even_if_all_else_changed() {
    let (dir, _) = saved();
    let run = format!("{{\"schema\": {}, \"new\": true}}", SCHEMA + 1);
    fs::write(dir.path().join("run.json"), run).unwrap();
    let error = RunFolder::read(dir.path()).unwrap_err();
    assert!(
        matches!(error, ReadError::NewerSchema { found, .. } if found == u64::from(SCHEMA) + 1)
    );
    let words = error.to_string();
    assert!(
        words.contains("run.json") && words.contains("newer"),
        "{words}"
    );
    assert!(matches!(
        report::write(dir.path()),
        Err(report::Error::Read(_))
    ));
}

#[test]
fn an_error_in_run_json_names_file_and_line() {
    let (dir, _) = saved();
    fs::write(
        dir.path().join("run.json"),
        "{\n\"schema\": 1,\n\"seed\": x}",
    )
    .unwrap();
    let error = RunFolder::read(dir.path()).unwrap_err();
    assert!(matches!(error, ReadError::Format { line: 3, .. }));
    assert!(error.to_string().contains("run.json line 3"), "{error}");
}

#[test]
fn a_run_json_that_is_cut_off_is_told() {
    let (dir, _) = saved();
    let path = dir.path().join("run.json");
    let whole = fs::read_to_string(&path).unwrap();
    for len in [0, 1, whole.len() / 2, whole.trim_end().len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        let error = RunFolder::read(dir.path()).unwrap_err();
        assert!(matches!(error, ReadError::CutOff(_)), "{len}: {error}");
        assert!(error.to_string().contains("run.json is cut off"), "{error}");
    }
}

#[test]
fn a_folder_without_a_run_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = RunFolder::read(dir.path()).unwrap_err();
    assert!(matches!(error, ReadError::File { .. }));
    assert!(error.to_string().contains("run.json"), "{error}");
}

#[test]
fn absent_and_empty_trials_are_reported() {
    let (dir, _) = saved();
    let trials = dir.path().join("trials.jsonl");
    fs::write(&trials, "").unwrap();
    let empty = RunFolder::read(dir.path()).unwrap();
    assert!(empty.records.is_empty() && !empty.damage.absent);
    assert!(report::terminal_table(&empty).contains("nothing was measured"));
    report::write(dir.path()).unwrap();
    fs::remove_file(&trials).unwrap();
    let absent = RunFolder::read(dir.path()).unwrap();
    assert!(absent.damage.absent);
    assert!(report::terminal_table(&absent).contains("trials.jsonl is absent"));
    report::write(dir.path()).unwrap();
}
