//! Export and import.

use std::fs;

use ring::digest;

use super::testing::*;
use super::*;
use crate::model::MappingState;

fn filled(dir: &std::path::Path) -> std::sync::Arc<SledStore> {
    let store = SledStore::open(dir).unwrap();
    let mut changes = vec![
        put(Mapping { state: MappingState::MergedInto(MappingId(2)), ..mapping(1, [1]) }),
        put(mapping(2, [1, 2])),
        put_intent(intent(1, 3)),
        put_intent(dead_intent(2, 0)),
        push(snapshot(7, 1)),
        push(snapshot(8, 2_000_000)),
        push(snapshot(9, 1)),
        Change::RemoveInbox(1),
        Change::PutCursor(system("defender"), RecordKind::Incident, time(5)),
        Change::PutCursor(system("tickets"), RecordKind::Ticket, time(6)),
        put_document("sidecar/tickets", "k", 10),
        put_document("sidecar/tickets", "l", 20_000),
    ];
    changes.extend((0..1_010).map(|second| append(audit(2, second))));
    commit(&*store, changes).unwrap();
    store
}

fn exported(store: &SledStore) -> Vec<u8> {
    let mut output = Vec::new();
    store.export(&mut output).unwrap();
    output
}

#[test]
fn an_imported_export_is_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("a"));
    let export = exported(&store);
    let counts = import(dir.path().join("b/c"), &mut &*export).unwrap();
    assert_eq!(counts, store.counts());
    let copy = SledStore::open(dir.path().join("b/c")).unwrap();
    assert!(exported(&copy) == export, "the second export differs");
    assert_eq!(copy.counts(), store.counts());
    assert_eq!(copy.marker_key(), store.marker_key());
    assert_eq!(copy.find(&bridge(), &record(1)), store.find(&bridge(), &record(1)));
    assert_eq!(copy.audit(MappingId(2)), store.audit(MappingId(2)));
    assert_eq!(copy.cursors(), store.cursors());
    assert_eq!(copy.documents("sidecar/tickets", None, 9), store.documents("sidecar/tickets", None, 9));
    assert_eq!(copy.verify().unwrap().documents, 2);
    assert_eq!(copy.verify().unwrap().problems, [""; 0]);
}

#[test]
fn an_empty_store_travels_too() {
    let dir = tempfile::tempdir().unwrap();
    let export = exported(&SledStore::open(dir.path().join("a")).unwrap());
    assert_eq!(import(dir.path().join("b"), &mut &*export), Ok(Counts::default()));
    assert!(exported(&SledStore::open(dir.path().join("b")).unwrap()) == export);
}

#[test]
fn a_faulty_export_is_refused_and_leaves_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let export = String::from_utf8(exported(&filled(&dir.path().join("a")))).unwrap();
    let lines: Vec<&str> = export.split_inclusive('\n').collect();
    let without = |left_out: usize| -> String {
        lines.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, line)| *line).collect()
    };
    let cases = [
        (String::new(), "does not begin with the header"),
        (without(0), "does not begin with the header"),
        (without(3), "was altered"),
        (without(lines.len() - 1), "ends without its trailer"),
        (export.clone() + lines[1], "goes on after its trailer"),
        (export.replacen("active", "closed", 1), "was altered"),
        (export[..export.len() / 2].to_owned(), "makes no sense"),
        (export.replacen("\"schema\":1", "\"schema\":2", 1), "has schema 2"),
        (export.replacen("lockstep store", "other", 1), "is a `other`"),
    ];
    for (text, reason) in cases {
        let target = dir.path().join("b");
        let error = import(&target, &mut text.as_bytes()).unwrap_err();
        assert!(
            error.0.starts_with("nothing was imported: ") && error.0.contains(reason),
            "{reason}: {error}"
        );
        assert!(SledStore::open_existing(&target).unwrap_err().0.contains("there is no store"));
    }
    import(dir.path().join("b"), &mut export.as_bytes()).unwrap();
}

/// Found by fuzzing.
#[test]
fn an_export_whose_lines_do_not_fit_together_is_refused_though_its_trailer_does() {
    let dir = tempfile::tempdir().unwrap();
    let export = String::from_utf8(exported(&filled(&dir.path().join("a")))).unwrap();
    let elsewhere = export.replacen("\"id\":\"0000000000000002-0\"", "\"id\":\"0020000000000002-0\"", 1);
    assert_ne!(export, elsewhere);
    let lines = &elsewhere[..elsewhere.rfind("{\"trailer\"").unwrap()];
    let digest = digest::digest(&digest::SHA256, lines.as_bytes());
    let digest = codec::hexadecimal(digest.as_ref());
    let count = lines.lines().count();
    let sealed = format!("{lines}{{\"trailer\":{{\"lines\":{count},\"sha256\":\"{digest}\"}}}}\n");
    let error = import(dir.path().join("b"), &mut sealed.as_bytes()).unwrap_err();
    assert!(error.0.contains("intent 0020000000000002-0 belongs to a mapping that is not there"), "{error}");
    assert!(SledStore::open_existing(dir.path().join("b")).unwrap_err().0.contains("there is no store"));
}

#[test]
fn an_import_never_touches_a_store_or_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let export = exported(&filled(&dir.path().join("a")));
    let before = files(dir.path());
    let error = import(dir.path().join("a"), &mut &*export).unwrap_err();
    assert!(error.0.contains("there is a store at"), "{error}");
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("b/notes"), "mine").unwrap();
    let error = import(dir.path().join("b"), &mut &*export).unwrap_err();
    assert!(error.0.contains("is no lockstep store"), "{error}");
    fs::remove_dir_all(dir.path().join("b")).unwrap();
    assert!(files(dir.path()) == before);
}

#[test]
fn an_import_that_was_killed_is_not_opened_but_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let export = exported(&filled(&dir.path().join("a")));
    let target = dir.path().join("b");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("importing"), "").unwrap();
    fs::write(target.join("db"), "half").unwrap();
    let error = SledStore::open(&target).unwrap_err();
    assert!(error.0.contains("was cut short"), "{error}");
    import(&target, &mut &*export).unwrap();
    SledStore::open(&target).unwrap();
}
