//! The targets without libFuzzer: the whole corpus, and so many seeded mutations of it.
//!
//! `LOCKSTEP_FUZZ` says how many mutations (of each target, default 200), `LOCKSTEP_SEED` which. What fails is printed and
//! written to `target/fuzz`; copied into the corpus it fails in every run until it is mended.

use std::fs;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sha2::{Digest, Sha256};

use super::mutate::mutated;
use super::{TARGETS, Target};

/// Mutations of each target, unless told otherwise.
const EXECUTIONS: u64 = 200;
/// An import goes to disk, so it is tried so much more rarely.
const IMPORTS: u64 = 20;
const SEED: u64 = 4711;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a target's corpus, in order of name.
fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = home().join("fuzz/corpus").join(target.name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|file| (file.clone(), fs::read(&file).unwrap())).collect()
}

fn feed(target: &Target, input: &[u8], what: &str) {
    if std::panic::catch_unwind(|| (target.run)(input)).is_ok() {
        return;
    }
    let name = Sha256::digest(input).iter().take(8).fold(String::new(), |name, b| format!("{name}{b:02x}"));
    let file = home().join("target/fuzz").join(format!("{}-{name}", target.name));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, input).unwrap();
    let shown: String =
        input.iter().take(2_000).flat_map(|b| std::ascii::escape_default(*b)).map(char::from).collect();
    panic!("{}: {what} fails ({} bytes, in {}):\n{shown}", target.name, input.len(), file.display());
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let files = corpus(target);
    for (file, input) in &files {
        feed(target, input, &format!("{}", file.display()));
    }
    let seed = number("LOCKSTEP_SEED").unwrap_or(SEED);
    let executions =
        number("LOCKSTEP_FUZZ").unwrap_or(EXECUTIONS) / if name == "import" { IMPORTS } else { 1 };
    eprintln!("LOCKSTEP_SEED={seed} LOCKSTEP_FUZZ={executions}");
    let mut rng = StdRng::seed_from_u64(seed);
    let inputs: Vec<Vec<u8>> = files.into_iter().map(|(_, input)| input).collect();
    for at in 0..executions {
        let input = inputs.choose(&mut rng).unwrap();
        let input = mutated(&mut rng, input, &inputs);
        feed(target, &input, &format!("mutation {at} of seed {seed}"));
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(&stringify!($name).replace('_', "-"));
        })*

        #[test]
        fn every_target_is_replayed_and_has_its_program() {
            let replayed = [$(stringify!($name).replace('_', "-")),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), replayed);
            for name in replayed {
                let program = home().join(format!("fuzz/fuzz_targets/{name}.rs"));
                let text = fs::read_to_string(program).unwrap();
                assert!(text.contains(&format!("lockstep::fuzz::run(\"{name}\", input)")), "{text}");
            }
        }
    };
}

replays! {
    defender sentinel servicenow jira request_tracker thehive answer token hook sidecar config translation import
    template marker copies
}
