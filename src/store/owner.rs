//! Who has the store: the exclusive lock on its directory, and the card that tells others.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::directory::cannot;

/// The file that is locked and holds the card.
pub(super) const OWNER: &str = "owner.json";

/// The exclusive lock on a store's directory; given back when dropped.
#[derive(Debug)]
pub(super) struct Owner {
    file: File,
    signed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct OwnerCard {
    pid: u32,
    since: Timestamp,
    command: String,
}

impl Owner {
    /// Takes the lock; the error names the process that holds it. The directory must exist.
    pub(super) fn claim(dir: &Path) -> Result<Self, StoreError> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(dir.join(OWNER));
        let mut file = file.map_err(|error| cannot(dir, "be written", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, signed: false }),
            Err(TryLockError::WouldBlock) => Err(in_use(dir, &mut file)),
            Err(TryLockError::Error(error)) => Err(cannot(dir, "be locked", &error)),
        }
    }

    /// Writes down who holds the lock, for others to read.
    pub(super) fn sign(&mut self, dir: &Path) -> Result<(), StoreError> {
        let command: Vec<String> = std::env::args().collect();
        let card = OwnerCard {
            pid: std::process::id(),
            since: Timestamp::now(),
            command: command.join(" ").chars().take(200).collect(),
        };
        let text = serde_json::to_string(&card).unwrap_or_default();
        self.signed = true;
        let written = self.file.set_len(0).and_then(|()| self.file.rewind());
        written
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|error| cannot(dir, "be written", &error))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The card only informs. A refused store is left as it was, with the card of an owner that was killed.
        if self.signed {
            let _ = self.file.set_len(0);
        }
        // Closing alone would leave the lock to a child process that was forked this moment and shares the handle.
        let _ = self.file.unlock();
    }
}

fn in_use(dir: &Path, file: &mut File) -> StoreError {
    let mut text = String::new();
    // An unreadable or empty card leaves the owner unnamed.
    let _ = file.read_to_string(&mut text);
    let owner = serde_json::from_str::<OwnerCard>(&text).map_or_else(
        |_| "another lockstep process that is just starting".to_owned(),
        |card| format!("lockstep (pid {}, since {}, `{}`)", card.pid, card.since, card.command),
    );
    StoreError(format!(
        "the store at {} is in use by {owner}; stop it or ask it over its server",
        dir.display()
    ))
}
