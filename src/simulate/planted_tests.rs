//! The checker is checked: each planted defect is found. The number in its line is the first seed, counted from 0, whose
//! history shows it. Where the generator of histories changed since, it is searched for again, and told.
//!
//! `LOCKSTEP_HISTORIES` says how many histories such a search may play.

use super::{Plan, Scenes, driver, play};
use crate::planted::{Defect, with};

/// How many histories a search plays at most.
const MOST: u64 = 3_000;

/// The first history from a seed on that breaks the promise.
fn first(defect: Defect, seeds: std::ops::Range<u64>, scenes: &Scenes) -> Option<(u64, String)> {
    let breaks = |seed| {
        let violations = play(&Plan::draw(seed, scenes), false).violations;
        violations.first().map(|violation| (seed, violation.0.clone()))
    };
    with(defect, || seeds.into_iter().find_map(breaks))
}

fn is_found(defect: Defect, known: u64) {
    let scenes = Scenes::ours().unwrap();
    let driver = driver().unwrap();
    let _entered = driver.enter();
    let most = std::env::var("LOCKSTEP_HISTORIES").ok().and_then(|text| text.parse().ok());
    let found =
        first(defect, known..known + 1, &scenes).or_else(|| first(defect, 0..most.unwrap_or(MOST), &scenes));
    match found {
        Some((seed, violation)) => println!("{defect:?}: at {seed}: {violation}"),
        None => panic!("{defect:?} went unseen"),
    }
}

macro_rules! found {
    ($($name:ident: $defect:ident at $seed:literal;)+) => {
        $(#[test]
        fn $name() {
            is_found(Defect::$defect, $seed);
        })+

        #[test]
        fn every_planted_defect_has_its_test() {
            let tested = [$(Defect::$defect),+];
            let missing: Vec<_> = Defect::ALL.iter().filter(|defect| !tested.contains(defect)).collect();
            assert!(missing.is_empty() && tested.len() >= 25, "{missing:?}");
        }
    };
}

found! {
    ack_before_sync: AckBeforeSync at 668;
    cursor_moved_first: CursorMovedFirst at 5879;
    no_overlap: NoOverlap at 1;
    broken_list_counts: BrokenListCounts at 6;
    inbox_emptied_first: InboxEmptiedFirst at 20191;
    echo_is_an_edit: EchoIsAnEdit at 1725;
    base_not_updated: BaseNotUpdated at 79;
    failure_is_absence: FailureIsAbsence at 4048;
    create_without_look: CreateWithoutLook at 42;
    retry_without_read_back: RetryWithoutReadBack at 3272;
    no_settle_time: NoSettleTime at 36;
    intent_removed_early: IntentRemovedEarly at 778;
    send_before_commit: SendBeforeCommit at 11;
    restart_forgets: RestartForgets at 27964;
    answer_believed: AnswerBelieved at 1743;
    merge_is_a_close: MergeIsAClose at 232;
    stale_is_news: StaleIsNews at 11;
    close_is_a_step: CloseIsAStep at 36044;
    late_comments_dropped: LateCommentsDropped at 1275;
    compared_in_our_words: ComparedInOurWords at 3;
    own_mark_ignored: OwnMarkIgnored at 0;
    older_wins: OlderWins at 2;
    reopening_dropped: ReopeningDropped at 2;
    younger_ticket_taken: YoungerTicketTaken at 199;
    key_not_renamed: KeyNotRenamed at 0;
    alerts_written: AlertsWritten at 6;
    direction_ignored: DirectionIgnored at 756;
    closed_ticket_written: ClosedTicketWritten at 17;
    detached_written: DetachedWritten at 224;
    write_not_told: WriteNotTold at 0;
    loser_not_told: LoserNotTold at 11;
    open_outcome_wins: OpenOutcomeWins at 0;
    planned_only_while_open: PlannedOnlyWhileOpen at 841;
    orphans_forgotten: OrphansForgotten at 4103;
    origin_forgotten: OriginForgotten at 1561;
    created_without_verdict: CreatedWithoutVerdict at 457;
    same_meaning_is_an_edit: SameMeaningIsAnEdit at 198;
    cut_written_again: CutWrittenAgain at 511;
    part_not_told: PartNotTold at 130_257_273;
    shortened_is_an_edit: ShortenedIsAnEdit at 208;
    spared_edit_loses: SparedEditLoses at 405;
    list_ends_intent: ListEndsIntent at 29442;
    caller_not_asked: CallerNotAsked at 0;
    gone_for_good: GoneForGood at 17;
    left_over_is_an_edit: LeftOverIsAnEdit at 25;
    lists_decide_verdict: ListsDecideVerdict at 421;
    vague_verdict_counts: VagueVerdictCounts at 896;
    verdict_outlives_reopening: VerdictOutlivesReopening at 321;
    cut_excuses_anything: CutExcusesAnything at 7_195_550;
    gone_forgets_comments: GoneForgetsComments at 180;
    blocked_is_refused: BlockedIsRefused at 182;
    systems_word_is_an_edit: SystemsWordIsAnEdit at 25;
    quotation_dropped: QuotationDropped at 16;
    closed_at_opening: ClosedAtOpening at 546;
}
