//! Opening a store: look, lock, try on a copy, open in place. A store that is refused stays as it was, byte for byte:
//! sled changes files even while it fails to open them, so it first gets a copy.

use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

use super::StoreError;
use super::database::{Contents, Database};
use super::directory::{self, Found, Making, Witness};
use super::owner::Owner;
use super::plan::Totals;

/// An open store before its committer is started.
pub(super) struct Opened {
    pub(super) dir: PathBuf,
    pub(super) database: Database,
    pub(super) witness: Witness,
    pub(super) contents: Contents,
    pub(super) owner: Owner,
}

/// Opens the store in a directory; where there is none, a new one is created, or with `create: false` refused.
pub(super) fn open(dir: &Path, create: bool) -> Result<Opened, StoreError> {
    let mut found = directory::inspect(dir)?;
    if found == Found::Nothing {
        if !create {
            return Err(no_store(dir));
        }
        directory::create(dir)?;
    }
    let owner = Owner::claim(dir)?;
    // Somebody else may have made the store before the lock was ours.
    found = if found == Found::Store { found } else { directory::inspect(dir)? };
    let mut opened = match found {
        Found::Store => open_existing(dir, owner)?,
        Found::Unfinished(Making::Importing) => return Err(cut_short(dir)),
        Found::Nothing | Found::Unfinished(Making::Creating) if create => {
            let opened = begin(dir, owner, Making::Creating, draw_marker_key()?)?;
            directory::complete(dir, Making::Creating)?;
            opened
        }
        Found::Nothing | Found::Unfinished(Making::Creating) => return Err(no_store(dir)),
    };
    opened.owner.sign(dir)?;
    Ok(opened)
}

/// Makes a store in an empty or missing directory that counts only once [`directory::complete`] was called.
pub(super) fn begin_import(dir: &Path, marker_key: [u8; 32]) -> Result<Opened, StoreError> {
    let refuse = || {
        StoreError(format!(
            "there is a store at {} already; import into an empty or missing directory, or move this one away",
            dir.display()
        ))
    };
    if directory::inspect(dir)? == Found::Store {
        return Err(refuse());
    }
    directory::create(dir)?;
    let mut owner = Owner::claim(dir)?;
    if directory::inspect(dir)? == Found::Store {
        return Err(refuse());
    }
    owner.sign(dir)?;
    begin(dir, owner, Making::Importing, marker_key)
}

fn begin(dir: &Path, owner: Owner, making: Making, marker_key: [u8; 32]) -> Result<Opened, StoreError> {
    directory::begin(dir, making)?;
    let database = Database::open(dir).and_then(|database| {
        database.initialize(marker_key)?;
        Ok(database)
    });
    let database = database.map_err(|why| {
        StoreError(format!("no store could be made at {}: {why}; mend this and start again", dir.display()))
    })?;
    let contents = Contents { totals: Totals::default(), marker_key };
    let (witness, _) = Witness::open(dir)?;
    Ok(Opened { dir: dir.to_owned(), database, witness, contents, owner })
}

/// All rows are read once, on the copy. sled makes the same of the same bytes; what it recorded with the last
/// transaction shows that it did. Reading all again would cost as much time, and memory that sled keeps for good.
fn open_existing(dir: &Path, owner: Owner) -> Result<Opened, StoreError> {
    if !dir.join(directory::DATA).is_file() {
        return Err(damaged(dir, "its data file `db` is missing"));
    }
    let trial = directory::copy_for_trial(dir)?;
    let tried = prepare(dir, &trial);
    if let Err(error) = directory::remove_trial(dir) {
        tracing::warn!(dir = %trial.display(), %error, "the copy for the check before opening could not be removed");
    }
    let (witness, contents) = tried?;
    let (database, recorded) = Database::open_recorded(dir).map_err(|why| damaged(dir, &why))?;
    if recorded != contents.recorded() {
        return Err(damaged(dir, "it opened differently than its copy"));
    }
    Ok(Opened { dir: dir.to_owned(), database, witness, contents, owner })
}

/// Opens the copy and reads it through; if all is there, takes over what makes opening in place safe.
fn prepare(dir: &Path, trial: &Path) -> Result<(Witness, Contents), StoreError> {
    let (_, contents) = Database::open_checked(trial).map_err(|why| damaged(dir, &why))?;
    let (witness, acknowledged) = Witness::open(dir)?;
    if contents.totals.transactions < acknowledged {
        let lost = acknowledged - contents.totals.transactions;
        return Err(damaged(dir, &format!("the last {lost} of its {acknowledged} transactions are missing")));
    }
    directory::adopt_snapshot(dir)?;
    Ok((witness, contents))
}

fn damaged(dir: &Path, why: &str) -> StoreError {
    StoreError(format!(
        "the store at {dir} is damaged: {why}. Nothing in it was changed. Move the directory away, then either run \
         `lockstep store import` with the last export, or start with an empty directory: lockstep finds its records \
         again by the keys it left in them",
        dir = dir.display()
    ))
}

fn no_store(dir: &Path) -> StoreError {
    StoreError(format!(
        "there is no store at {}; check [store] path, or start `lockstep run`, which makes one",
        dir.display()
    ))
}

fn cut_short(dir: &Path) -> StoreError {
    StoreError(format!(
        "an import into {} was cut short; run `lockstep store import` again, or remove the directory",
        dir.display()
    ))
}

fn draw_marker_key() -> Result<[u8; 32], StoreError> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| {
        StoreError("the system gives no random bytes for the marker key of a new store".to_owned())
    })?;
    Ok(key)
}
