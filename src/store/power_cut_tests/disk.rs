//! A disk as it may be found after a power cut: what was synced is there, and of the rest anything may be.
//!
//! Stricter than common file systems: an fsync of a file makes its bytes and its length durable, but not its name, and
//! one of a directory makes its names durable, and nothing else does either. Until then each write may be lost, kept,
//! overtaken by a later one or torn between sectors, a length may come without the bytes, and changes of names may be
//! lost or kept in any combination. A rename by itself is never torn.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;

/// What drives promise to write whole.
const SECTOR: usize = 512;
/// What file systems write back at once.
const PAGE: usize = 4096;

/// One change that was recorded. Paths are relative to the root of the disk.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    /// A file was opened under this name; its inode is known from now on.
    Open { path: String, inode: u64 },
    /// A new file was made.
    Create { path: String, inode: u64 },
    /// Bytes were written.
    Write { inode: u64, at: u64, bytes: Vec<u8> },
    /// The length was set.
    Resize { inode: u64, length: u64 },
    /// A file or directory was synced.
    Sync { path: String, inode: u64 },
    /// A name took the place of another.
    Rename { from: String, to: String },
    /// A file or an empty directory lost its name.
    Unlink { path: String },
    /// A directory was made.
    MakeDirectory { path: String },
}

/// How much of what was not synced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survival {
    /// Nothing.
    Nothing,
    /// Everything, as after a kill.
    Everything,
    /// Everything but one write of each file.
    AllButOne,
    /// What came first, and of the last write some sectors.
    Beginning,
    /// Whole writes, in no order.
    Writes,
    /// Pages, in no order.
    Pages,
    /// Sectors, in no order.
    Sectors,
}

impl Survival {
    pub(super) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Everything,
        Self::AllButOne,
        Self::Beginning,
        Self::Writes,
        Self::Pages,
        Self::Sectors,
    ];
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    File(usize),
    Directory,
}

/// A change of names.
#[derive(Debug, Clone)]
enum Naming {
    Add(String, Entry),
    /// From, to, and what is moved: if an earlier change of either name is lost, it is this that bears the new one.
    Move(String, String, Entry),
    Remove(String),
}

/// Directories are synced one by one, so each change of names waits for the directory of its path.
#[derive(Debug, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    inodes: BTreeMap<u64, usize>,
    /// As programs see them.
    names: BTreeMap<String, Entry>,
    durable_names: BTreeMap<String, Entry>,
    pending_names: Vec<Naming>,
}

/// The content of files by path; directories end in a slash and are empty.
pub(super) type Image = BTreeMap<String, Vec<u8>>;

impl Disk {
    /// A disk on which all of this is durable.
    pub(super) fn holding(image: &Image) -> Self {
        let mut disk = Self::default();
        for (path, bytes) in image {
            let entry = if path.ends_with('/') {
                Entry::Directory
            } else {
                disk.files.push(File { durable: bytes.clone(), pending: Vec::new() });
                Entry::File(disk.files.len() - 1)
            };
            disk.names.insert(path.trim_end_matches('/').to_owned(), entry);
        }
        disk.durable_names = disk.names.clone();
        disk
    }

    /// Carries out what was recorded.
    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Open { path, inode } => {
                if let Some(Entry::File(file)) = self.names.get(path) {
                    self.inodes.insert(*inode, *file);
                }
            }
            Operation::Create { path, inode } => {
                self.files.push(File::default());
                let file = self.files.len() - 1;
                self.inodes.insert(*inode, file);
                self.name(Naming::Add(path.clone(), Entry::File(file)));
            }
            Operation::Write { inode, at, bytes } => {
                let at = usize::try_from(*at).unwrap();
                self.file(*inode).pending.push(Change::Write { at, bytes: bytes.clone() });
            }
            Operation::Resize { inode, length } => {
                let length = usize::try_from(*length).unwrap();
                self.file(*inode).pending.push(Change::Resize(length));
            }
            Operation::Sync { path, inode } => self.sync(path, *inode),
            Operation::Rename { from, to } => {
                let entry = self.names[from];
                self.name(Naming::Move(from.clone(), to.clone(), entry));
            }
            Operation::Unlink { path } => self.name(Naming::Remove(path.clone())),
            Operation::MakeDirectory { path } => self.name(Naming::Add(path.clone(), Entry::Directory)),
        }
    }

    fn file(&mut self, inode: u64) -> &mut File {
        &mut self.files[self.inodes[&inode]]
    }

    fn name(&mut self, naming: Naming) {
        rename(&mut self.names, &naming);
        self.pending_names.push(naming);
    }

    fn sync(&mut self, path: &str, inode: u64) {
        if path.is_empty() || self.names.get(path) == Some(&Entry::Directory) {
            let (done, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending_names)
                .into_iter()
                .partition(|naming| parent(naming) == path);
            for naming in &done {
                rename(&mut self.durable_names, naming);
            }
            self.pending_names = open;
        } else {
            let file = self.file(inode);
            for change in std::mem::take(&mut file.pending) {
                match change {
                    Change::Write { at, bytes } => overwrite(&mut file.durable, at, &bytes),
                    Change::Resize(length) => file.durable.resize(length, 0),
                }
            }
        }
    }

    /// What may be found after a power cut now.
    pub(super) fn cut(&self, survival: Survival, random: &mut StdRng) -> Image {
        let mut names = self.durable_names.clone();
        let kept = survivors(self.pending_names.len(), survival, random);
        for (naming, kept) in self.pending_names.iter().zip(kept) {
            if kept {
                rename(&mut names, naming);
            }
        }
        let mut image = Image::new();
        for (path, entry) in names {
            match entry {
                Entry::File(file) => drop(image.insert(path, self.files[file].cut(survival, random))),
                Entry::Directory => drop(image.insert(path + "/", Vec::new())),
            }
        }
        image
    }
}

fn rename(names: &mut BTreeMap<String, Entry>, naming: &Naming) {
    match naming {
        Naming::Add(path, entry) => drop(names.insert(path.clone(), *entry)),
        Naming::Move(from, to, entry) => {
            if names.get(from) == Some(entry) {
                names.remove(from);
            }
            names.insert(to.clone(), *entry);
        }
        Naming::Remove(path) => drop(names.remove(path)),
    }
}

/// The directory that has to be synced for a change of names. Renames stay within one directory here.
fn parent(naming: &Naming) -> &str {
    let (Naming::Add(path, _) | Naming::Move(_, path, _) | Naming::Remove(path)) = naming;
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Change {
    /// The length of a file after it.
    fn length(&self, before: usize) -> usize {
        match self {
            Self::Write { at, bytes } => before.max(at + bytes.len()),
            Self::Resize(length) => *length,
        }
    }

    /// Carries it out; of a torn write only some pieces of this size.
    fn survive(&self, file: &mut Vec<u8>, torn: Option<usize>, random: &mut StdRng) {
        match (self, torn) {
            (Self::Write { at, bytes }, None) => overwrite(file, *at, bytes),
            (Self::Write { at, bytes }, Some(unit)) => {
                let share = [0.1, 0.5, 0.9][random.random_range(0..3)];
                for (at, piece) in pieces(*at, bytes, unit) {
                    if random.random_bool(share) {
                        overwrite(file, at, piece);
                    }
                }
            }
            (Self::Resize(length), _) => file.resize(*length, 0),
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    if bytes.len() < at + written.len() {
        bytes.resize(at + written.len(), 0);
    }
    bytes[at..at + written.len()].copy_from_slice(written);
}

impl File {
    fn cut(&self, survival: Survival, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        // Lengths that the file had since it was synced; any of them may be the one that is found.
        let mut lengths = vec![bytes.len()];
        let kept = survivors(self.pending.len(), survival, random);
        let last = kept.iter().rposition(|kept| *kept);
        for (number, (change, kept)) in self.pending.iter().zip(kept).enumerate() {
            lengths.push(change.length(lengths[number]));
            if kept {
                let torn = match survival {
                    Survival::Pages => Some(PAGE),
                    Survival::Sectors => Some(SECTOR),
                    Survival::Beginning if Some(number) == last => Some(SECTOR),
                    _ => None,
                };
                change.survive(&mut bytes, torn, random);
            }
        }
        if matches!(survival, Survival::Writes | Survival::Pages | Survival::Sectors) {
            // The length is a thing of its own: it may have come to the disk without the bytes, or they without it.
            bytes.resize(lengths[random.random_range(0..lengths.len())], 0);
        }
        bytes
    }
}

/// Which of some changes survive, whole or torn.
fn survivors(count: usize, survival: Survival, random: &mut StdRng) -> Vec<bool> {
    let share = [0.1, 0.5, 0.9][random.random_range(0..3)];
    let place = random.random_range(0..=count);
    let survives = |number: usize| match survival {
        Survival::Nothing => false,
        Survival::Everything => true,
        Survival::AllButOne => number != place,
        Survival::Beginning => number < place,
        Survival::Writes | Survival::Pages | Survival::Sectors => random.random_bool(share),
    };
    (0..count).map(survives).collect()
}

/// Bytes at a place, divided where the disk may tear them.
fn pieces(at: usize, bytes: &[u8], unit: usize) -> Vec<(usize, &[u8])> {
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (at, bytes);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(unit - at % unit));
        pieces.push((at, piece));
        (at, rest) = (at + piece.len(), behind);
    }
    pieces
}

/// Writes an image into an empty directory.
pub(super) fn write_image(image: &Image, dir: &Path) {
    for (path, bytes) in image {
        if path.ends_with('/') {
            fs::create_dir_all(dir.join(path)).unwrap();
        } else {
            // The name of its directory may have been lost, and then nobody finds the file.
            let _ = fs::write(dir.join(path), bytes);
        }
    }
}
