//! Writes the seeds to where `cargo fuzz` looks for them.

use mizar_fuzz::seeds;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A seed could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

fn main() -> ExitCode {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in [("agent", seeds::agent()), ("transit", seeds::transit())] {
        let folder = corpus.join(target);
        match write(&folder, &seeds) {
            Ok(()) => println!("{}: {} seeds", folder.display(), seeds.len()),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn write(folder: &Path, seeds: &BTreeSet<Vec<u8>>) -> Result<(), WriteError> {
    std::fs::create_dir_all(folder).map_err(|source| WriteError {
        path: folder.to_owned(),
        source,
    })?;
    for (number, seed) in seeds.iter().enumerate() {
        let path = folder.join(format!("seed-{number:03}"));
        std::fs::write(&path, seed).map_err(|source| WriteError { path, source })?;
    }
    Ok(())
}
