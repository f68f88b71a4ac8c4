//! Whether the files that a store has open are still those that its path names. A folder that is removed or replaced takes
//! nothing from whoever has its files open: commits go on to succeed, into files that nobody will ever open again.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::directory::DATA;
use super::owner::OWNER;

/// The files that are looked at: what holds the data, and the lock. Both stay open, so their numbers are given to no other.
const FILES: [&str; 2] = [DATA, OWNER];

/// Where a store's open files were when it was opened.
#[derive(Debug)]
pub(super) struct Place {
    files: Vec<(PathBuf, Identity)>,
}

/// Device and inode.
type Identity = (u64, u64);

impl Place {
    /// Takes note of an open store.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let note = |name| {
            let path = dir.join(name);
            identity(&path).map(|identity| (path, identity))
        };
        Ok(Self { files: FILES.into_iter().map(note).collect::<io::Result<_>>()? })
    }

    /// Whether they are there still; one call of the operating system for each.
    ///
    /// # Errors
    /// What became of the first that is not.
    pub(super) fn check(&self) -> Result<(), String> {
        self.files.iter().try_for_each(|(path, noted)| match identity(path) {
            Ok(now) if now == *noted => Ok(()),
            Ok(_) => Err(format!("{} is another file now", path.display())),
            Err(error) => Err(format!("{} cannot be found any more: {error}", path.display())),
        })
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}
