//! The checker is checked: each planted defect must be found, within as many histories as its line says.

use super::{Plan, Scenes, driver, play};
use crate::planted::{Defect, with};

/// Plays histories until one of them breaks the promise.
fn found_within(defect: Defect, histories: u64) {
    let scenes = Scenes::ours().unwrap();
    let driver = driver().unwrap();
    let _entered = driver.enter();
    let first = with(defect, || {
        (0..histories).find_map(|seed| {
            let violations = play(&Plan::draw(seed, &scenes), false).violations;
            violations.first().map(|violation| (seed, violation.0.clone()))
        })
    });
    match first {
        Some((seed, violation)) => println!("{defect:?}: seed {seed}: {violation}"),
        None => panic!("{defect:?} went unseen in {histories} histories"),
    }
}

macro_rules! found {
    ($($name:ident: $defect:ident within $histories:literal;)+) => {
        $(#[test]
        fn $name() {
            found_within(Defect::$defect, $histories);
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
    ack_before_sync: AckBeforeSync within 2000;
    cursor_moved_first: CursorMovedFirst within 2000;
    no_overlap: NoOverlap within 2000;
    broken_list_counts: BrokenListCounts within 2000;
    same_time_is_known: SameTimeIsKnown within 2000;
    inbox_emptied_first: InboxEmptiedFirst within 2000;
    echo_is_an_edit: EchoIsAnEdit within 2000;
    base_not_updated: BaseNotUpdated within 2000;
    failure_is_absence: FailureIsAbsence within 2000;
    create_without_look: CreateWithoutLook within 2000;
    retry_without_read_back: RetryWithoutReadBack within 2000;
    one_read_back: OneReadBack within 2000;
    no_settle_time: NoSettleTime within 2000;
    intent_removed_early: IntentRemovedEarly within 2000;
    send_before_commit: SendBeforeCommit within 2000;
    restart_forgets: RestartForgets within 2000;
    answer_believed: AnswerBelieved within 2000;
    merge_is_a_close: MergeIsAClose within 2000;
    stale_is_news: StaleIsNews within 2000;
    late_comments_dropped: LateCommentsDropped within 2000;
    compared_in_our_words: ComparedInOurWords within 2000;
    own_mark_ignored: OwnMarkIgnored within 2000;
    older_wins: OlderWins within 2000;
    reopening_dropped: ReopeningDropped within 2000;
    outage_uses_up_tries: OutageUsesUpTries within 2000;
    younger_ticket_taken: YoungerTicketTaken within 2000;
    key_not_renamed: KeyNotRenamed within 2000;
    alerts_written: AlertsWritten within 2000;
    direction_ignored: DirectionIgnored within 2000;
    closed_ticket_written: ClosedTicketWritten within 2000;
    detached_written: DetachedWritten within 2000;
    write_not_told: WriteNotTold within 2000;
    loser_not_told: LoserNotTold within 2000;
    step_is_an_edit: StepIsAnEdit within 2000;
    open_outcome_wins: OpenOutcomeWins within 2000;
    planned_only_while_open: PlannedOnlyWhileOpen within 2000;
    orphans_forgotten: OrphansForgotten within 2000;
    same_meaning_is_an_edit: SameMeaningIsAnEdit within 2000;
    origin_forgotten: OriginForgotten within 2000;
    opened_with_stays: OpenedWithStays within 2000;
    writer_left_to_sync: WriterLeftToSync within 2000;
    created_without_verdict: CreatedWithoutVerdict within 2000;
    spared_edit_loses: SparedEditLoses within 2000;
    shortened_is_an_edit: ShortenedIsAnEdit within 2000;
    foretold_loser_unseen: ForetoldLoserUnseen within 2000;
    list_ends_intent: ListEndsIntent within 2000;
}
