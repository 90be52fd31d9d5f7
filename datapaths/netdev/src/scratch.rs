//! Folders for the files of child processes.

use crate::Error;
use std::path::Path;
use tempfile::TempDir;

/// Makes a folder for temporary files whose name begins with `prefix` and has this process's id in it. It is removed
/// when what is returned is dropped; those of processes that were killed before are removed now.
///
/// # Errors
/// Where it cannot be made.
pub fn scratch_folder(prefix: &str) -> Result<TempDir, Error> {
    let parent = std::env::temp_dir();
    remove_orphans(&parent, prefix);
    tempfile::Builder::new()
        .prefix(&format!("{prefix}{}-", std::process::id()))
        .tempdir_in(&parent)
        .map_err(|e| Error::io(format!("making a folder in {}", parent.display()), e))
}

/// Removes folders of processes that are gone.
fn remove_orphans(parent: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if let Some(pid) = owner
            && !Path::new(&format!("/proc/{pid}")).exists()
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(folder = %entry.path().display(), %error, "an orphan stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_processes_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: String| parent.path().join(name);
        // No process has the largest number.
        let orphan = at(format!("bench-{}-abc", u32::MAX));
        let own = at(format!("bench-{}-abc", std::process::id()));
        let other = at("bench-x".to_owned());
        for folder in [&orphan, &own, &other] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("file"), "x").unwrap();
        }
        remove_orphans(parent.path(), "bench-");
        assert!(!orphan.exists());
        assert!(own.exists() && other.exists());
    }
}
