//! Hugepages for programs on DPDK, of 2 MiB each: Documentation/admin-guide/mm/hugetlbpage.rst of Linux.
//!
//! There is one pool for the whole machine. What is needed is added to it and taken from it again, never below what was
//! there; each reservation is noted in a file, so that the next one takes back what a killed process left.

use crate::Error;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Mebibytes of a page.
const MEBIBYTES: u32 = 2;
/// How long is waited for pages in use to become free.
const PATIENCE: Duration = Duration::from_secs(2);
const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";
/// Where reservations are noted: none but root may write there, and it is empty when the machine has started.
const NOTES: &str = "/run/bench-hugepages";

/// Pages that this process added to the machine's pool. Dropping it takes them back.
#[derive(Debug)]
pub struct Hugepages {
    pages: u64,
    note: PathBuf,
}

impl Hugepages {
    /// Adds as many pages as hold `mebibytes`. If the machine has no room for more but as many are free, those are used.
    ///
    /// # Errors
    /// Where there are too few, with how many are missing; or without the privilege.
    pub fn reserve(mebibytes: u32) -> Result<Self, Error> {
        // They belong to nobody yet: see below.
        let (reserved, _) = Self::noted_in(Path::new(NOTES), mebibytes)?;
        Ok(reserved)
    }

    /// The same for a program that `start` starts, and waits for until it has them. Meanwhile nobody else can reserve any:
    /// of two who found enough of them free, both might have found the same ones. So `start` may reserve none.
    ///
    /// # Errors
    /// As [`Hugepages::reserve`], and those of `start`.
    pub fn taken_by<T, E: From<Error>>(
        mebibytes: u32,
        start: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let (reserved, lock) = Self::noted_in(Path::new(NOTES), mebibytes)?;
        let started = start();
        // Giving back takes it again.
        drop(lock);
        Ok((reserved, started?))
    }

    fn noted_in(folder: &Path, mebibytes: u32) -> Result<(Self, File), Error> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let wanted = u64::from(mebibytes.div_ceil(MEBIBYTES));
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let note = folder.join(format!("{}-{number}", std::process::id()));
        let lock = lock()?;
        make_folder(folder)?;
        take_back_orphans(folder)?;
        let before = size()?;
        write("nr_hugepages", before + wanted)?;
        let pages = size()?.saturating_sub(before);
        let reserved = Self { pages, note };
        // Noted before anything takes time, in which this process may be killed.
        match reserved.note_down().and_then(|()| await_free(wanted)) {
            Ok(()) => Ok((reserved, lock)),
            Err(error) => {
                // Giving back takes it again.
                drop(lock);
                Err(error)
            }
        }
    }

    fn note_down(&self) -> Result<(), Error> {
        let began = began(std::process::id()).unwrap_or_default();
        std::fs::write(&self.note, format!("{} {began}", self.pages))
            .map_err(|e| Error::io(format!("writing {}", self.note.display()), e))
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        if let Err(error) = self.give_back() {
            tracing::warn!(%error, pages = self.pages, "hugepages stay reserved");
        }
    }
}

impl Hugepages {
    fn give_back(&self) -> Result<(), Error> {
        let _lock = lock()?;
        write("nr_hugepages", size()?.saturating_sub(self.pages))?;
        // If the note stays, the next reservation after this process gives back too much of nothing; if other notes are
        // there, so does the folder.
        let _ = std::fs::remove_file(&self.note);
        let _ = self.note.parent().map(std::fs::remove_dir);
        Ok(())
    }
}

/// Makes the folder of notes, which is root's alone.
fn make_folder(folder: &Path) -> Result<(), Error> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io(format!("making {}", folder.display()), error))
        }
        _ => Ok(()),
    }
}

/// When a process began, in ticks since the machine started: proc_pid_stat(5), field 22. Another one that has its number
/// later began at another time.
fn began(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Waits for a moment until as many pages are free.
fn await_free(wanted: u64) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let free = read("free_hugepages")?.saturating_sub(read("resv_hugepages")?);
        if free >= wanted {
            return Ok(());
        }
        // Pages that an AF_XDP socket had are free a moment after the process that had it ended.
        if began.elapsed() > PATIENCE {
            return Err(Error::Hugepages {
                wanted,
                missing: wanted - free,
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes back what processes reserved that are gone.
fn take_back_orphans(folder: &Path) -> Result<(), Error> {
    for (note, pages) in orphans(folder) {
        write("nr_hugepages", size()?.saturating_sub(pages))?;
        std::fs::remove_file(&note)
            .map_err(|e| Error::io(format!("removing {}", note.display()), e))?;
    }
    Ok(())
}

/// Notes of processes that are gone, with what they say.
fn orphans(folder: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let owner: u32 = name.to_str()?.split('-').next()?.parse().ok()?;
            let text = std::fs::read_to_string(entry.path()).ok()?;
            let (pages, since) = text.split_once(' ')?;
            let is_alive = began(owner) == Some(since.parse().ok()?);
            (!is_alive).then_some((entry.path(), pages.parse().ok()?))
        })
        .collect()
}

/// Keeps other processes of this kind from changing the pool meanwhile.
fn lock() -> Result<File, Error> {
    let doing = || format!("locking {POOL}");
    let file =
        File::open(Path::new(POOL).join("nr_hugepages")).map_err(|e| Error::io(doing(), e))?;
    // SAFETY: a descriptor that is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } != 0 {
        return Err(Error::last(doing()));
    }
    Ok(file)
}

/// Pages that the pool keeps. Those beyond, which were taken from it while they were in use, are given up when they are
/// free, and must not be counted: whoever adds to them makes them stay.
fn size() -> Result<u64, Error> {
    loop {
        let surplus = read("surplus_hugepages")?;
        let all = read("nr_hugepages")?;
        // One that was given up in between would be counted, and stay for ever.
        if read("surplus_hugepages")? == surplus {
            return Ok(all.saturating_sub(surplus));
        }
    }
}

fn read(file: &str) -> Result<u64, Error> {
    let path = Path::new(POOL).join(file);
    let text = std::fs::read_to_string(&path);
    text.and_then(|text| text.trim().parse().map_err(io::Error::other))
        .map_err(|e| Error::io(format!("reading {}", path.display()), e))
}

fn write(file: &str, number: u64) -> Result<(), Error> {
    let path = Path::new(POOL).join(file);
    std::fs::write(&path, number.to_string())
        .map_err(|e| Error::io(format!("writing {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_cannot_be_written_is_an_error_and_no_deadlock() {
        let reserved = Hugepages::noted_in(Path::new("/nonexistent/folder"), MEBIBYTES);
        assert!(reserved.is_err());
    }

    #[test]
    fn notes_of_processes_that_are_gone_are_found_and_no_others() {
        let folder = std::env::temp_dir().join(format!("hugepages-test-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let own = std::process::id();
        let note = |name: &str, text: String| {
            let note = folder.join(name);
            std::fs::write(&note, text).unwrap();
            note
        };
        // No process has the largest number; this one did not begin with the machine.
        let gone = note(&format!("{}-0", u32::MAX), "7 1".to_owned());
        let before = note(&format!("{own}-1"), "3 1".to_owned());
        note(&format!("{own}-0"), format!("5 {}", began(own).unwrap()));
        note("other", "3".to_owned());
        let mut found = orphans(&folder);
        found.sort();
        let mut expected = [(gone, 7), (before, 3)];
        expected.sort();
        assert_eq!(found, expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
