//! What is opened, what is refused, and that a refused directory stays as it was.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::layout::{SCHEMA_KEY, Tree};
use super::testing::*;
use super::*;

/// A closed store with something in it.
fn filled(dir: &Path) {
    let store = SledStore::open(dir).unwrap();
    for n in 0..40 {
        commit(&*store, vec![put(mapping(n, [n])), put_intent(intent(n, 0)), push(snapshot(n, 4_000))])
            .unwrap();
    }
}

/// How much of the data file holds data; sled makes it longer in advance.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap()
}

fn write_all(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = dir.join(name);
        if name.ends_with('/') { fs::create_dir(path).unwrap() } else { fs::write(path, bytes).unwrap() }
    }
}

/// Opening must fail with this text, say what to do, and change nothing.
fn assert_refused(dir: &Path, text: &str) {
    let before = files(dir);
    for error in [SledStore::open(dir).unwrap_err(), SledStore::open_existing(dir).unwrap_err()] {
        assert!(error.0.contains(text), "{error}");
        assert!(error.0.contains(&dir.display().to_string()), "{error}");
    }
    assert!(files(dir) == before, "the refused directory was changed");
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let expected = format!("is in use by lockstep (pid {}, since 2", std::process::id());
    assert_refused(dir.path(), &expected);
    assert_refused(dir.path(), "stop it or ask it over its server");
    drop(store);
    SledStore::open(dir.path()).unwrap();
}

#[test]
fn a_store_that_is_removed_or_replaced_while_it_is_open_takes_nothing_more() {
    type Harm = fn(&Path);
    let harms: [Harm; 4] = [
        |dir| fs::remove_dir_all(dir).unwrap(),
        |dir| fs::rename(dir, dir.with_extension("old")).unwrap(),
        |dir| {
            fs::remove_dir_all(dir).unwrap();
            filled(dir);
        },
        |dir| fs::remove_file(dir.join("owner.json")).unwrap(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("data");
        let store = SledStore::open(&dir).unwrap();
        commit(&*store, vec![put(mapping(1, [1]))]).unwrap();
        store.in_place().unwrap();
        harm(&dir);
        let noticed = commit(&*store, vec![put(mapping(2, [2]))]).unwrap_err();
        assert!(noticed.0.contains("was removed or replaced"), "{number}: {noticed}");
        assert_eq!(store.in_place(), Err(noticed.clone()));
        assert_eq!(store.mapping(MappingId(1)).unwrap_err(), noticed, "it is final");
    }
}

#[test]
fn a_store_without_news_notices_as_well() {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("data");
    let store = SledStore::open(&dir).unwrap();
    assert!(SledStore::is_at(&dir).unwrap());
    fs::remove_dir_all(&dir).unwrap();
    assert!(!SledStore::is_at(&dir).unwrap());
    assert!(store.in_place().is_err() && store.mappings(None, 1).is_err());
}

#[test]
fn missing_and_empty_directories_become_stores_unless_only_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, empty) = (dir.path().join("a/b/c"), dir.path().join("empty"));
    fs::create_dir_all(empty.join("lost+found")).unwrap();
    for path in [&missing, &empty] {
        let error = SledStore::open_existing(path).unwrap_err();
        assert!(error.0.contains("there is no store at"), "{error}");
    }
    assert!(!missing.exists());
    for path in [&missing, &empty] {
        let store = SledStore::open(path).unwrap();
        assert_ne!(store.marker_key(), [0; 32]);
        drop(store);
        SledStore::open_existing(path).unwrap();
    }
}

#[test]
fn somebody_elses_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    assert_refused(dir.path(), "is no lockstep store");
}

#[test]
fn somebody_elses_sled_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(sled::open(dir.path()).unwrap().insert("k", "v").unwrap());
    assert_refused(dir.path(), "is no lockstep store");
    fs::write(dir.path().join("owner.json"), "").unwrap();
    fs::write(dir.path().join("store.json"), r#"{"format":"lockstep store","schema":1}"#).unwrap();
    assert_refused(dir.path(), "its database was not made by lockstep");
}

#[test]
fn a_newer_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join("store.json"), r#"{"format":"lockstep store","schema":2,"more":1}"#).unwrap();
    assert_refused(dir.path(), "has schema 2 and this version of lockstep knows schema 1");
    fs::write(dir.path().join("store.json"), "{}").unwrap();
    assert_refused(dir.path(), "does not describe a lockstep store");
}

#[test]
fn a_newer_database_is_refused_whatever_is_written_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let database = sled::open(dir.path()).unwrap();
    let meta = database.open_tree(Tree::Meta.name()).unwrap();
    meta.insert(SCHEMA_KEY, &b"\x012"[..]).unwrap();
    drop((meta, database));
    assert_refused(dir.path(), "its database says schema 2 where 1 was expected");
}

#[test]
fn a_store_without_its_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::remove_file(dir.path().join("db")).unwrap();
    assert_refused(dir.path(), "its data file `db` is missing");
}

#[test]
fn a_cut_off_or_overwritten_store_is_refused() {
    let damages: [fn(&mut Vec<u8>, usize); 3] =
        [|bytes, _| bytes.clear(), |bytes, used| bytes.truncate(used / 2), |bytes, _| bytes.fill(0xa5)];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let db = dir.path().join("db");
        let mut bytes = fs::read(&db).unwrap();
        let used = used(&bytes);
        damage(&mut bytes, used);
        fs::write(&db, bytes).unwrap();
        assert_refused(dir.path(), "is damaged");
    }
}

#[test]
fn a_damaged_store_is_refused_or_whole_but_never_silently_smaller() {
    let mut random = StdRng::seed_from_u64(seed());
    let origin = tempfile::tempdir().unwrap();
    filled(origin.path());
    // sled writes its snapshot when it opens what is there.
    drop(SledStore::open(origin.path()).unwrap());
    let whole = files(origin.path());
    let snapshot = whole.keys().find(|name| name.starts_with("snap.")).unwrap();
    let mut refused = 0;
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        let name = if random.random_bool(0.8) { "db" } else { snapshot.as_str() };
        let bytes = damaged.get_mut(name).unwrap();
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..used(bytes));
            bytes[place] ^= random.random_range(1..=255_u8);
        }
        write_all(dir.path(), &damaged);
        match SledStore::open(dir.path()) {
            Ok(store) => {
                assert_eq!((store.counts().mappings, store.counts().inbox), (40, 40));
                assert_eq!(store.verify().unwrap().problems, [""; 0]);
            }
            Err(error) => {
                refused += 1;
                assert!(error.0.contains("is damaged"), "{error}");
                assert!(files(dir.path()) == damaged, "the refused directory was changed");
            }
        }
    }
    eprintln!("{refused} of 20 refused");
    assert!(refused > 0, "no damage was noticed");
}

#[test]
fn a_store_that_lost_its_last_commits_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let earlier = files(dir.path());
    commit(&*SledStore::open(dir.path()).unwrap(), vec![push(snapshot(1, 1))]).unwrap();
    for name in files(dir.path()).keys().filter(|name| name.starts_with("snap.")) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    for (name, bytes) in earlier.iter().filter(|(name, _)| name.starts_with("snap.") || *name == "db") {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    assert_refused(dir.path(), "the last 1 of its 41 transactions are missing");
}

#[test]
fn a_torn_start_up_snapshot_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let torn = dir.path().join("snap.00000000FFFFFFFF.generating");
    fs::write(&torn, "torn").unwrap();
    fs::create_dir(dir.path().join("trial")).unwrap();
    fs::write(dir.path().join("trial/left"), "from a killed start").unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(store.counts().mappings, 40);
    assert!(!torn.exists() && !dir.path().join("trial").exists());
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("creating"), "").unwrap();
    fs::write(dir.path().join("db"), "half").unwrap();
    assert!(SledStore::open_existing(dir.path()).unwrap_err().0.contains("there is no store"));
    commit(&*SledStore::open(dir.path()).unwrap(), vec![put(mapping(1, [1]))]).unwrap();
    assert_eq!(SledStore::open(dir.path()).unwrap().counts().mappings, 1);
}
