//! Defects that are put in on purpose, to prove that the checkers see them. They exist in test builds only: in all others
//! `planted!` is `false`, and not even their names are there.

#[cfg(not(test))]
macro_rules! planted {
    ($defect:ident) => {
        false
    };
}

#[cfg(test)]
macro_rules! planted {
    ($defect:ident) => {
        $crate::planted::is_on($crate::planted::Defect::$defect)
    };
}

#[cfg(test)]
pub(crate) use defects::*;

#[cfg(test)]
mod defects {
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    macro_rules! defects {
        ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
            /// A defect.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub(crate) enum Defect { $($(#[$doc])* $name),+ }

            impl Defect {
                /// Every defect.
                pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];
            }
        };
    }

    defects! {
        /// A commit is acknowledged before it is synced.
        AckBeforeSync,
        /// The cursor moves with the first page of a cycle.
        CursorMovedFirst,
        /// A list begins where the last one ended, and not an overlap before.
        NoOverlap,
        /// A list that broke off counts as read to its end.
        BrokenListCounts,
        /// The inbox entry is removed in a commit before the decision's.
        InboxEmptiedFirst,
        /// What our own write left is taken for somebody's edit.
        EchoIsAnEdit,
        /// A write's answer is not acknowledged as the new base.
        BaseNotUpdated,
        /// A look-up that failed counts as "there is none".
        FailureIsAbsence,
        /// Nothing is looked up before a creation.
        CreateWithoutLook,
        /// A write of unknown outcome is sent again at once.
        RetryWithoutReadBack,
        /// The read-back does not wait until reads are certain.
        NoSettleTime,
        /// The intent is removed before its answer came.
        IntentRemovedEarly,
        /// The request leaves before the promise is durable.
        SendBeforeCommit,
        /// A restart forgets that something was being sent.
        RestartForgets,
        /// The answer's status is believed, whatever the record says.
        AnswerBelieved,
        /// A merge is taken for a close.
        MergeIsAClose,
        /// A version older than the acknowledged one is taken for news.
        StaleIsNews,
        /// Any status is taken for a step of ours, a close by somebody included.
        CloseIsAStep,
        /// Comments of a version that comes late are dropped.
        LateCommentsDropped,
        /// Values are compared as our words, though a system may only have coarser ones.
        ComparedInOurWords,
        /// Copies of ours are taken for comments of people.
        OwnMarkIgnored,
        /// An edit loses to what it answered.
        OlderWins,
        /// A reopening is dropped without a word.
        ReopeningDropped,
        /// Of two tickets with one key the younger is taken.
        YoungerTicketTaken,
        /// Intents that name a ticket's key are not renamed to its id.
        KeyNotRenamed,
        /// Alerts are written to beside their incident.
        AlertsWritten,
        /// Fields go to systems that they are not to reach.
        DirectionIgnored,
        /// Closed tickets are written to like open ones.
        ClosedTicketWritten,
        /// A record that an operator took out is written to all the same.
        DetachedWritten,
        /// A write is not told in the history.
        WriteNotTold,
        /// The loser of a conflict is not told in the history.
        LoserNotTold,
        /// An edit made while a write of unknown outcome is open is overwritten by it.
        OpenOutcomeWins,
        // What the simulation found in lockstep itself, put back.
        /// A closed incident's ticket is not planned, so a lost store forgets it.
        PlannedOnlyWhileOpen,
        /// A ticket that is listed before its incident is met again only when somebody changes it.
        OrphansForgotten,
        /// An incident that lockstep created does not say for which.
        OriginForgotten,
        /// A closed incident is created without the verdict that its system demands.
        CreatedWithoutVerdict,
        /// Another word of the same meaning is taken for an edit.
        SameMeaningIsAnEdit,
        /// What a system cuts to what was there before is written again and again.
        CutWrittenAgain,
        /// What took effect of a write that did not as a whole is not told.
        PartNotTold,
        /// What a system silently cut is taken for an edit.
        ShortenedIsAnEdit,
        /// An edit of a closed ticket loses to what the ticket was spared.
        SparedEditLoses,
        /// What a close of unknown outcome is to write is forgotten when a list brings the record.
        ListEndsIntent,
        // Absence, success and authorship without proof.
        /// A record is taken for gone though the caller may see nothing any more.
        CallerNotAsked,
        /// A record that was taken for gone is never looked for again.
        GoneForGood,
        /// A verdict that a record kept from before passes for somebody's when we close it.
        LeftOverIsAnEdit,
        /// Of two closes with a verdict the one that is listed later stands.
        ListsDecideVerdict,
        /// A verdict that says nothing, given because one was demanded, replaces one that says something.
        VagueVerdictCounts,
        /// A reopened incident is closed again with the verdict that was revoked.
        VerdictOutlivesReopening,
        /// A text that was cut excuses whatever comes to stand in its place.
        CutExcusesAnything,
        /// What is said while a record is out of sight is not brought to it when it is found.
        GoneForgetsComments,
        /// A write that is blocked for now is given up.
        BlockedIsRefused,
        /// What a system sets by itself at our close passes for somebody's word.
        SystemsWordIsAnEdit,
        /// A comment that quotes a copy of ours is not carried.
        QuotationDropped,
        /// A ticket that somebody closes before we have met it is taken to have begun closed.
        ClosedAtOpening,
    }

    /// Whether a defect is on, on this thread.
    pub(crate) fn is_on(defect: Defect) -> bool {
        ON.get() == Some(defect)
    }

    /// Does something with a defect on.
    pub(crate) fn with<T>(defect: Defect, work: impl FnOnce() -> T) -> T {
        ON.set(Some(defect));
        let result = work();
        ON.set(None);
        result
    }
}
