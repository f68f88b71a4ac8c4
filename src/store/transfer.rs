//! Export and import as JSON Lines: backup, and the road to another engine or schema.
//!
//! ```text
//! {"header":{"format":"lockstep store","schema":1,"marker_key":"..","counts":{..}}}
//! {"mapping":{..}}   {"cursor":{..}}   {"intent":{..}}   {"inbox":{..}}   {"audit":{..}}   {"document":{..}}
//! {"trailer":{"lines":N,"sha256":".."}}
//! ```
//!
//! Index, inbox numbers and audit numbers are not part of it: they follow from the order of the lines, so that an
//! export of an imported export is the same, byte for byte.

use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use ring::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codec::{self, hexadecimal};
use super::committer::{Shared, Writer};
use super::database::Trees;
use super::directory::{self, Making};
use super::layout::{FORMAT, SCHEMA, Tree};
use super::opening::{self, Opened};
use super::plan::StoredCursor;
use super::{Change, Counts, Document, SledStore, Store, StoreError, verify};
use crate::model::{AuditEntry, Intent, Mapping, Snapshot};

/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How many bytes of lines go into one transaction of an import.
const GROUP_BYTES: usize = 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Header(Header),
    Mapping(Box<Mapping>),
    Cursor(StoredCursor),
    Intent(Box<Intent>),
    Inbox(Box<Snapshot>),
    Audit(Box<AuditEntry>),
    Document(Box<Document>),
    Trailer(Trailer),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    schema: u32,
    /// Hexadecimal.
    marker_key: String,
    counts: CountsLine,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CountsLine {
    mappings: u64,
    outbox: u64,
    dead: u64,
    inbox: u64,
}

impl From<Counts> for CountsLine {
    fn from(counts: Counts) -> Self {
        let Counts { mappings, outbox, dead, inbox } = counts;
        Self { mappings, outbox, dead, inbox }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trailer {
    /// Lines before this one.
    lines: u64,
    /// Of the bytes before this line, hexadecimal.
    sha256: String,
}

/// Counts and digests the lines that pass.
struct Ledger {
    context: digest::Context,
    lines: u64,
}

impl Ledger {
    fn new() -> Self {
        Self { context: digest::Context::new(&digest::SHA256), lines: 0 }
    }

    fn add(&mut self, line: &[u8]) {
        self.context.update(line);
        self.lines += 1;
    }

    fn close(self) -> Trailer {
        Trailer { lines: self.lines, sha256: hexadecimal(self.context.finish().as_ref()) }
    }
}

impl SledStore {
    /// Writes everything as JSON Lines. Commits wait meanwhile. The output holds the marker key: keep it private.
    ///
    /// Errors: the output cannot be written, or a row cannot be read.
    pub fn export(&self, output: &mut dyn Write) -> Result<(), StoreError> {
        self.shared.check()?;
        let counts = self.shared.counts.read().unwrap_or_else(PoisonError::into_inner);
        let header = Header {
            format: FORMAT.to_owned(),
            schema: SCHEMA,
            marker_key: hexadecimal(&self.marker_key()),
            counts: (*counts).into(),
        };
        export(&self.shared.trees, header, output).map_err(|why| {
            StoreError(format!("the store at {} could not be exported: {why}", self.shared.dir.display()))
        })
    }
}

fn export(trees: &Trees, header: Header, output: &mut dyn Write) -> Result<(), String> {
    let mut ledger = Ledger::new();
    let mut put = |line: &Line| write_line(output, line).map(|bytes| ledger.add(&bytes));
    put(&Line::Header(header))?;
    each(trees, Tree::Mapping, |value| put(&Line::Mapping(value)))?;
    each(trees, Tree::Cursor, |value| put(&Line::Cursor(value)))?;
    each(trees, Tree::Intent, |value| put(&Line::Intent(value)))?;
    each(trees, Tree::Inbox, |value| put(&Line::Inbox(value)))?;
    each(trees, Tree::Audit, |value| put(&Line::Audit(value)))?;
    each(trees, Tree::Document, |value| put(&Line::Document(value)))?;
    write_line(output, &Line::Trailer(ledger.close()))?;
    output.flush().map_err(|error| format!("the output cannot be written: {error}"))
}

fn each<T: DeserializeOwned>(
    trees: &Trees,
    tree: Tree,
    mut put: impl FnMut(T) -> Result<(), String>,
) -> Result<(), String> {
    for row in trees.rows(tree, ..) {
        let (key, head) = row?;
        put(codec::decode(trees, tree, &key, &head)?)?;
    }
    Ok(())
}

fn write_line(output: &mut dyn Write, line: &Line) -> Result<Vec<u8>, String> {
    let mut bytes =
        serde_json::to_vec(line).map_err(|error| format!("a value cannot be encoded: {error}"))?;
    bytes.push(b'\n');
    output.write_all(&bytes).map_err(|error| format!("the output cannot be written: {error}"))?;
    Ok(bytes)
}

/// Makes a store from an export in an empty or missing directory, and says how much it holds.
///
/// Errors: there is a store already, the export is incomplete, altered or from a newer version, what it holds does not
/// fit together (as `lockstep store verify` would say), or the disk fails.
/// Whatever the error, no store is left that could be taken for a complete one.
pub fn import(path: impl AsRef<Path>, input: &mut dyn BufRead) -> Result<Counts, StoreError> {
    let dir = path.as_ref();
    let mut source = Source { input, ledger: Ledger::new() };
    let refused = |why: String| StoreError(format!("nothing was imported: {why}"));
    let (header, marker_key) = read_header(&mut source).map_err(refused)?;

    let Opened { database, witness, contents, owner, .. } = opening::begin_import(dir, marker_key)?;
    let shared = Arc::new(Shared::new(dir.to_owned(), database.trees.clone(), Counts::default())?);
    let mut writer = Writer::new(database, witness, contents.totals, Arc::clone(&shared));
    let result = read_rows(&mut source, &mut writer).and_then(|()| {
        let counts = *shared.counts.read().unwrap_or_else(PoisonError::into_inner);
        if CountsLine::from(counts) != header.counts {
            return Err(format!("its header says {:?}, its lines make {counts:?}", header.counts));
        }
        match verify::check(&shared.trees, counts)?.problems.first() {
            None => Ok(counts),
            Some(problem) => Err(format!("what the export holds does not fit together: {problem}")),
        }
    });
    drop(writer);
    drop(shared);
    match result {
        Ok(_) => directory::complete(dir, Making::Importing)?,
        // Should this fail too, the `importing` file stays and keeps the directory from being opened.
        Err(_) => drop(directory::abandon(dir)),
    }
    drop(owner);
    result.map_err(refused)
}

struct Source<'a> {
    input: &'a mut dyn BufRead,
    ledger: Ledger,
}

impl Source<'_> {
    /// The next line with its length, or nothing at the end. A trailer is not added to the ledger.
    fn next(&mut self) -> Result<Option<(Line, usize)>, String> {
        let number = self.ledger.lines + 1;
        let mut bytes = Vec::new();
        let mut limited = Read::take(&mut *self.input, LINE_BYTES_MAX);
        limited
            .read_until(b'\n', &mut bytes)
            .map_err(|error| format!("line {number} of the export cannot be read: {error}"))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let line = serde_json::from_slice(&bytes)
            .map_err(|error| format!("line {number} of the export makes no sense: {error}"))?;
        if !matches!(line, Line::Trailer(_)) {
            self.ledger.add(&bytes);
        }
        Ok(Some((line, bytes.len())))
    }
}

fn read_header(source: &mut Source<'_>) -> Result<(Header, [u8; 32]), String> {
    let Some((Line::Header(header), _)) = source.next()? else {
        return Err("the input does not begin with the header of an export".to_owned());
    };
    if header.format != FORMAT {
        return Err(format!("the input is a `{}`, not a `{FORMAT}`", header.format));
    }
    if header.schema != SCHEMA {
        return Err(format!(
            "the export has schema {} and this version of lockstep knows schema {SCHEMA}; import it with the version \
             that wrote it",
            header.schema
        ));
    }
    let key = unhexadecimal(&header.marker_key).ok_or("the marker key in the header is no 32 bytes")?;
    Ok((header, key))
}

fn read_rows(source: &mut Source<'_>, writer: &mut Writer) -> Result<(), String> {
    let (mut group, mut size) = (Vec::new(), 0);
    loop {
        let Some((line, bytes)) = source.next()? else {
            return Err("the export ends without its trailer: it is incomplete".to_owned());
        };
        let change = match line {
            Line::Mapping(mapping) => Change::PutMapping(mapping),
            Line::Cursor(cursor) => Change::PutCursor(cursor.system, cursor.kind, cursor.at),
            Line::Intent(intent) => Change::PutIntent(intent),
            Line::Inbox(snapshot) => Change::PushInbox(snapshot),
            Line::Audit(entry) => Change::Audit(entry),
            Line::Document(document) => Change::PutDocument(document),
            Line::Header(_) => return Err("the export has a second header".to_owned()),
            Line::Trailer(trailer) => {
                writer.write(group.iter()).map_err(|error| error.0)?;
                return check_trailer(source, &trailer);
            }
        };
        group.push(change);
        size += bytes;
        if size >= GROUP_BYTES {
            writer.write(group.iter()).map_err(|error| error.0)?;
            (group, size) = (Vec::new(), 0);
        }
    }
}

fn check_trailer(source: &mut Source<'_>, trailer: &Trailer) -> Result<(), String> {
    let ledger = std::mem::replace(&mut source.ledger, Ledger::new());
    if ledger.close() != *trailer {
        return Err("the export was altered: its checksum or its number of lines is wrong".to_owned());
    }
    match source.next()? {
        None => Ok(()),
        Some(_) => Err("the export goes on after its trailer".to_owned()),
    }
}

fn unhexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}
