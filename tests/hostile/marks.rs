//! Marks of copied comments, in texts that anybody may write.

use jiff::Timestamp;
use lockstep::model::{Comment, CommentKey, RecordRef};
use lockstep::reconcile::{Mark, MarkerKey, copy_name};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn comment(text: &str) -> Comment {
    let created = Some(Timestamp::UNIX_EPOCH);
    Comment { key: CommentKey::from_id("c1"), author: Some("ana".to_owned()), created, text: text.to_owned() }
}

fn origin() -> RecordRef {
    "defender/incident/1".parse().unwrap()
}

/// Any text, often with pieces of marks in it.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("[lockstep ".to_owned()),
        Just("]".to_owned()),
        Just(".".to_owned()),
        "[0-9a-f]{0,40}",
        Just("\n".to_owned()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The same texts in every run; `PROPTEST_RNG_SEED` draws others.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(4711);
    }
    eprintln!("seed: {:?}", config.rng_seed);
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_text_passes_for_a_copy(text in text()) {
        prop_assert!(!matches!(MarkerKey::from_secret("k").read(&text), Mark::Ours(_)));
    }

    #[test]
    fn a_copy_of_any_text_is_recognised_and_a_changed_one_is_not(text in text(), added in "[a-z]{1,9}") {
        let key = MarkerKey::from_secret("k");
        let name = copy_name(&origin(), &CommentKey::from_id("c1"));
        let copy = key.copy_text(&name, &origin(), &comment(&text));
        prop_assert_eq!(key.read(&copy), Mark::Ours(name));
        let changed = [added, copy].join(" ");
        prop_assert!(!matches!(key.read(&changed), Mark::Ours(_)));
    }
}
