//! What lies in the store's directory beside sled's own files:
//!
//! * `store.json`: that this is a store, and its schema version; read before sled touches anything;
//! * `owner.json`: the exclusive lock, and who holds it;
//! * `acknowledged`: how far commits were acknowledged; a database that ends earlier has lost some;
//! * `creating` or `importing`: the store is not complete yet;
//! * `trial/`: the copy on which the database is tried before it is opened in place.
//!
//! Names are kept by the directory, not by the files: a new one survives a power cut only once the directory was synced.
//! sled never does that.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::layout::{FORMAT, SCHEMA};
use super::owner::OWNER;

const DESCRIPTION: &str = "store.json";
const ACKNOWLEDGED: &str = "acknowledged";
/// sled's data file.
pub(super) const DATA: &str = "db";
const TRIAL: &str = "trial";

/// What the names of drafts end in: ours, and sled's for its start-up snapshots.
const DRAFT: &str = ".draft";
const GENERATING: &str = ".generating";

/// How a store comes into being; the file of this name says that it is not complete yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// As an empty store.
    Creating,
    /// From an export.
    Importing,
}

impl Making {
    fn file(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Importing => "importing",
        }
    }
}

/// What a directory was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Missing or empty.
    Nothing,
    /// A store that never was complete, so that nothing in it was ever acknowledged.
    Unfinished(Making),
    /// A store of our schema.
    Store,
}

#[derive(Debug, Serialize, Deserialize)]
struct Description {
    format: String,
    schema: u32,
}

/// Looks at a directory without changing it. Somebody else's files and newer stores are errors.
pub(super) fn inspect(dir: &Path) -> Result<Found, StoreError> {
    let names = match names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(cannot(dir, "be read", &error)),
    };
    let has = |name: &str| names.iter().any(|found| found == name);
    if has(DESCRIPTION) {
        return check_description(dir).map(|()| Found::Store);
    }
    for making in [Making::Creating, Making::Importing] {
        if has(making.file()) {
            return Ok(Found::Unfinished(making));
        }
    }
    match names.iter().find(|name| ![OWNER, TRIAL, "lost+found"].contains(&name.as_str())) {
        None => Ok(Found::Nothing),
        Some(other) => Err(StoreError(format!(
            "{} is no lockstep store (it has no `{DESCRIPTION}`, but for example `{other}`); let [store] path name \
             the store's directory, or an empty or missing one to begin a new store. Nothing in it was changed",
            dir.display()
        ))),
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn check_description(dir: &Path) -> Result<(), StoreError> {
    let bytes = fs::read(dir.join(DESCRIPTION)).map_err(|error| cannot(dir, "be read", &error))?;
    let description = serde_json::from_slice::<Description>(&bytes);
    let known = description.ok().filter(|description| description.format == FORMAT).ok_or_else(|| {
        StoreError(format!(
            "`{DESCRIPTION}` in {} does not describe a lockstep store; if the directory is one, write \
             {{\"format\":\"{FORMAT}\",\"schema\":{SCHEMA}}} into it. Nothing was changed",
            dir.display()
        ))
    })?;
    if known.schema == SCHEMA {
        return Ok(());
    }
    // Schema 1 is the first, so a lower number cannot occur; later versions migrate here.
    Err(StoreError(format!(
        "the store at {} has schema {} and this version of lockstep knows schema {SCHEMA}; run the newer lockstep that \
         wrote it, or export there and import here. Nothing was changed",
        dir.display(),
        known.schema
    )))
}

/// Remembers, outside of the database, how many transactions were acknowledged. sled takes damage near the end of its
/// log for a torn write and quietly goes back to an earlier state, which is consistent in itself; only something
/// outside of it can tell.
///
/// It is written after each sync and not synced itself, so it can lag behind the database but never be ahead of it.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
}

impl Witness {
    /// Opens the witness of a store; what is missing or unreadable counts as 0, which accuses nobody.
    pub(super) fn open(dir: &Path) -> Result<(Self, u64), StoreError> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(dir.join(ACKNOWLEDGED));
        let mut file = file.map_err(|error| cannot(dir, "be written", &error))?;
        let mut text = String::new();
        let read = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        Ok((Self { file }, read.unwrap_or(0)))
    }

    /// Records the number of transactions.
    pub(super) fn record(&mut self, transactions: u64) -> Result<(), String> {
        // One line of fixed length, overwritten in one small write, which no crash tears.
        let written =
            self.file.rewind().and_then(|()| self.file.write_all(format!("{transactions:020}\n").as_bytes()));
        written.map_err(|error| format!("`{ACKNOWLEDGED}` cannot be written: {error}"))
    }
}

/// Makes the directory and its missing parents, durably.
pub(super) fn create(dir: &Path) -> Result<(), StoreError> {
    let missing: Vec<PathBuf> =
        dir.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
    fs::create_dir_all(dir).map_err(|error| cannot(dir, "be created", &error))?;
    for made in &missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_dir(parent.unwrap_or(Path::new("."))).map_err(|error| cannot(made, "be created", &error))?;
    }
    Ok(())
}

/// Begins to make a store: removes what an earlier try left, and says what is going on.
pub(super) fn begin(dir: &Path, making: Making) -> Result<(), StoreError> {
    let begun = clear(dir)
        .and_then(|()| File::create(dir.join(making.file()))?.sync_all())
        .and_then(|()| sync_dir(dir))
        .map_err(|error| cannot(dir, "be written", &error));
    tracing::debug!(dir = %dir.display(), ?making, "a new store is made");
    begun
}

/// Declares a store complete. Until then nothing in it counts.
pub(super) fn complete(dir: &Path, making: Making) -> Result<(), StoreError> {
    let description = Description { format: FORMAT.to_owned(), schema: SCHEMA };
    let text = serde_json::to_vec(&description).unwrap_or_default();
    // sled syncs neither `conf` nor the directory, and the description must not outlive the files that it describes.
    let done = File::open(dir.join("conf"))
        .and_then(|conf| conf.sync_all())
        .and_then(|()| sync_dir(dir))
        .and_then(|()| write_durably(dir, DESCRIPTION, DRAFT, &text))
        .and_then(|()| fs::remove_file(dir.join(making.file())))
        .and_then(|()| sync_dir(dir));
    done.map_err(|error| cannot(dir, "be completed", &error))
}

/// Takes back a store that could not be completed.
pub(super) fn abandon(dir: &Path) -> io::Result<()> {
    clear(dir)
}

/// Removes the files of an unfinished store; last of all what says that it is unfinished.
fn clear(dir: &Path) -> io::Result<()> {
    remove_trial(dir)?;
    let (parts, marks): (Vec<_>, Vec<_>) = names(dir)?
        .into_iter()
        .filter(|name| is_sled_file(name) || is_mark(name))
        .partition(|name| is_sled_file(name));
    for name in parts.iter().chain(&marks) {
        let path = dir.join(name);
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    sync_dir(dir)
}

fn is_mark(name: &str) -> bool {
    [Making::Creating.file(), Making::Importing.file(), ACKNOWLEDGED].contains(&name)
        || name.strip_suffix(DRAFT) == Some(DESCRIPTION)
}

fn is_sled_file(name: &str) -> bool {
    [DATA, "conf", "blobs"].contains(&name) || is_snapshot(name)
}

fn is_snapshot(name: &str) -> bool {
    name.starts_with("snap.")
}

/// A start-up snapshot whose writing was cut short; sled would take it for the newest one and report corruption.
fn is_torn_snapshot(name: &str) -> bool {
    is_snapshot(name) && name.ends_with(GENERATING)
}

/// Takes over the start-up snapshot that sled made of the copy, durably, and removes all others.
///
/// Left to itself, sled writes one in place, renames it without a sync of the directory, and at once wipes the segments
/// of its log that this snapshot no longer needs. A power cut that kept the wiping and lost the name left a log without
/// its beginning, which nothing could open. With a durable snapshot in place sled writes none.
pub(super) fn adopt_snapshot(dir: &Path) -> Result<(), StoreError> {
    let adopted = newest_snapshot(&dir.join(TRIAL)).and_then(|newest| {
        let Some(name) = newest else { return Ok(()) };
        if !dir.join(&name).exists() {
            write_durably(dir, &name, GENERATING, &fs::read(dir.join(TRIAL).join(&name))?)?;
        }
        let others = names(dir)?.into_iter().filter(|other| is_snapshot(other) && *other != name);
        others.into_iter().try_for_each(|other| fs::remove_file(dir.join(other)))
    });
    adopted.map_err(|error| cannot(dir, "be given the start-up snapshot of its copy", &error))
}

/// Their names end in a number of fixed length that grows.
fn newest_snapshot(dir: &Path) -> io::Result<Option<String>> {
    Ok(names(dir)?.into_iter().filter(|name| is_snapshot(name) && !is_torn_snapshot(name)).max())
}

/// Copies sled's files into the trial directory and returns it.
pub(super) fn copy_for_trial(dir: &Path) -> Result<PathBuf, StoreError> {
    let trial = dir.join(TRIAL);
    let copied = remove_trial(dir).and_then(|()| copy_sled_files(dir, &trial));
    match copied {
        Ok(()) => Ok(trial),
        Err(error) => {
            // What was copied is of no use; the next opening would remove it too.
            let _ = remove_trial(dir);
            Err(cannot(dir, "be copied for the check before opening (is the disk full?)", &error))
        }
    }
}

fn copy_sled_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for name in names(from)?.iter().filter(|name| is_sled_file(name) && !is_torn_snapshot(name)) {
        let (source, target) = (from.join(name), to.join(name));
        if source.is_dir() {
            fs::create_dir(&target)?;
            for blob in names(&source)? {
                fs::copy(source.join(&blob), target.join(&blob))?;
            }
        } else {
            fs::copy(source, target)?;
        }
    }
    Ok(())
}

/// Removes the trial directory, if it is there.
pub(super) fn remove_trial(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir.join(TRIAL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a file under the name of its draft, and gives it its own once it is on the disk.
fn write_durably(dir: &Path, name: &str, draft: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = dir.join(format!("{name}{draft}"));
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, dir.join(name))?;
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

pub(super) fn cannot(dir: &Path, what: &str, error: &io::Error) -> StoreError {
    StoreError(format!("the store's directory {} cannot {what}: {error}", dir.display()))
}
