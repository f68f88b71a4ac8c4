//! Files that an operator hands over: configuration, translation tables, exports.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::model::{Field, Native, RecordKind};
use crate::store::{SledStore, import as import_store};
use crate::translate::{Translation, laws};

/// A configuration is taken, or each problem with it has a place in the file.
pub(super) fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // A table of the operator's own is read from disk; devices would be read for ever.
    if text.contains("/dev") || text.contains("/proc") || text.contains("/sys") {
        return;
    }
    match Config::parse(Path::new("lockstep.toml"), text) {
        Ok(config) => {
            assert!(!config.systems.is_empty() && !config.bridges.is_empty());
            config.warnings.iter().for_each(|problem| check_place(text, problem.position));
            assert!(config.secrets().iter().all(|(what, _)| !what.is_empty()));
        }
        Err(errors) => {
            assert!(!errors.problems().is_empty(), "refused without a problem");
            for problem in errors.problems() {
                check_place(text, problem.position);
                assert!(!problem.message.trim().is_empty() && problem.file == "lockstep.toml", "{problem}");
            }
        }
    }
}

/// Line and column, from 1, of a place in the text or right behind it.
fn check_place(text: &str, place: Option<(usize, usize)>) {
    let Some((line, column)) = place else { return };
    let found = text.split('\n').nth(line.wrapping_sub(1));
    let width = found.map(|line| line.chars().count());
    assert!(
        width.is_some_and(|width| (1..=width + 1).contains(&column)),
        "{line}:{column} is not in the text"
    );
}

/// A table is taken and then total, or its error names a place.
pub(super) fn translation(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let table = match Translation::parse(text, "table.toml") {
        Ok(table) => table,
        Err(error) => {
            let message = error.to_string();
            let mut parts = message.splitn(4, ':').skip(1).map(|part| part.trim().parse().ok());
            let place = parts.next().flatten().zip(parts.next().flatten());
            assert!(place.is_some(), "{message} names no place");
            return check_place(text, place);
        }
    };
    let _ = laws::check_one(&table);
    for kind in [RecordKind::Incident, RecordKind::Alert, RecordKind::Ticket] {
        for field in Field::ALL {
            for native in [Native::Empty, Native::Text(text.chars().take(40).collect())] {
                let _ = table.read(kind, field, &native);
            }
        }
    }
}

/// An export is imported whole, and comes out again as it went in; or nothing is left that could pass for a store.
pub(super) fn import(input: &[u8]) {
    try_import(input);
    if let Some(healed) = healed(input) {
        try_import(&healed);
    }
}

fn try_import(export: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    match import_store(&first, &mut &*export) {
        Err(error) => {
            assert!(!error.0.trim().is_empty());
            assert!(SledStore::open_existing(&first).is_err(), "a store is left: {error}");
        }
        Ok(counts) => {
            let once = exported(&first);
            assert_eq!(import_store(&second, &mut &*once), Ok(counts), "an export cannot be imported");
            assert!(exported(&second) == once, "a second export differs");
        }
    }
}

fn exported(folder: &Path) -> Vec<u8> {
    let store = SledStore::open(folder).expect("what was imported can be opened");
    let report = store.verify().expect("what was imported can be verified");
    assert_eq!(report.problems, [""; 0], "what was imported is unsound");
    let mut output = Vec::new();
    store.export(&mut output).expect("what was imported can be exported");
    output
}

/// The lines with a trailer that fits them: else mutations would hardly get past the checksum.
fn healed(input: &[u8]) -> Option<Vec<u8>> {
    let at = input.windows(12).rposition(|window| window == b"\n{\"trailer\":")? + 1;
    let lines = &input[..at];
    let count = lines.split(|b| *b == b'\n').count() - 1;
    let digest = Sha256::digest(lines);
    let digest = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let trailer = format!("{{\"trailer\":{{\"lines\":{count},\"sha256\":\"{digest}\"}}}}\n");
    Some([lines, trailer.as_bytes()].concat())
}
