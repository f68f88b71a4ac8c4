//! A bridge of Defender, Sentinel and a ticket system, for every ticket system there is: the real binary against the
//! emulators over real HTTP, with faults, kills and outages. Verdicts come from the emulators' ledger.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

mod crashes;
mod desks;
mod faults;
mod hints;
mod life;
mod rig;
#[path = "../support/mod.rs"]
mod support;

/// Every case for every ticket system, as tests of their own: `jira::a_close_in_the_ticket_...`.
macro_rules! suite {
    ($($desk:ident = $constant:expr;)+) => {
        $(mod $desk {
            use crate::{crashes, faults, hints, life};

            suite!(@cases $constant; life: opened_once_and_follows_every_field,
                a_close_in_defender_closes_the_ticket_with_verdict_and_note,
                a_close_in_the_ticket_closes_the_incidents_and_the_alerts,
                a_close_in_sentinel_closes_the_ticket,
                reopenings_travel_from_either_side,
                comments_are_copied_once_each_way_and_never_back,
                comments_from_before_the_ticket_are_carried,
                a_burst_ends_in_the_last_state,
                of_two_concurrent_edits_the_close_wins,
                an_incident_that_is_closed_already_opens_none,
                an_incident_below_the_filter_opens_none,
                a_reopening_can_mean_a_new_ticket,
                a_lost_store_duplicates_nothing,
                a_deleted_ticket_is_not_opened_again,
                a_copied_key_is_left_alone,
                with_native_sync_on_the_ticket_is_written_once,
                an_idle_worker_makes_one_list_call_per_poll,
                a_propagated_close_costs_at_most_five_calls,
                what_attackers_write_stays_text);
            suite!(@cases $constant; hints: a_hint_brings_an_edit_without_any_poll,
                lies_and_strangers_are_not_believed);
            suite!(@cases $constant; faults: answers_lost_after_applying,
                requests_lost_before_applying,
                errors_after_applying,
                errors_before_applying,
                throttling_in_every_form,
                stale_reads,
                an_answer_lost_at_opening_opens_no_second_ticket,
                a_look_up_that_fails_opens_nothing,
                an_outage_of_the_ticket_system_holds_up_nobody_else);
            suite!(@cases $constant; crashes: killed_at_every_point_while_a_ticket_is_opened,
                killed_at_every_point_with_a_close_in_defender,
                killed_at_every_point_with_a_close_in_the_ticket,
                killed_at_random_moments);
        })+
    };
    (@cases $constant:expr; $module:ident: $($case:ident),+) => {
        $(#[test]
        fn $case() {
            $module::$case($constant);
        })+
    };
}

suite! {
    servicenow = &crate::desks::SERVICENOW;
    jira = &crate::desks::JIRA;
    request_tracker = &crate::desks::REQUEST_TRACKER;
    thehive = &crate::desks::THEHIVE;
}
