//! Who goes first where the calls of a class are scarce.

use super::call::Priority;

/// Polls that may go in a row while others wait. A list of many pages takes most of a budget that way, and never all.
const POLLS_IN_A_ROW: u32 = 4;

/// The callers that wait for a class.
#[derive(Debug, Default)]
pub(super) struct Queue {
    polls: u32,
    work: u32,
    details: u32,
    /// Polls that went in a row while others waited.
    in_a_row: u32,
}

impl Queue {
    /// How many wait with this priority.
    pub(super) fn waiting(&mut self, priority: Priority) -> &mut u32 {
        match priority {
            Priority::Poll => &mut self.polls,
            Priority::Work => &mut self.work,
            Priority::Detail => &mut self.details,
        }
    }

    /// Whether a caller has to let others go first.
    pub(super) fn yields(&self, priority: Priority) -> bool {
        let others = self.work + self.details > 0;
        let polls_had_enough = self.in_a_row >= POLLS_IN_A_ROW && others;
        let poll_is_next = self.polls > 0 && !polls_had_enough;
        match priority {
            Priority::Poll => polls_had_enough,
            Priority::Work => poll_is_next,
            Priority::Detail => poll_is_next || self.work > 0,
        }
    }

    /// A caller went.
    pub(super) fn went(&mut self, priority: Priority) {
        let others = self.work + self.details > 0;
        self.in_a_row = if priority == Priority::Poll && others { self.in_a_row + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_go_before_work_and_work_before_details() {
        let mut queue = Queue { polls: 1, work: 1, details: 1, in_a_row: 0 };
        let yielding =
            |queue: &Queue| [Priority::Poll, Priority::Work, Priority::Detail].map(|p| queue.yields(p));
        assert_eq!(yielding(&queue), [false, true, true]);
        queue.polls = 0;
        assert_eq!(yielding(&queue), [false, false, true]);
        queue.work = 0;
        assert_eq!(yielding(&queue), [false, false, false]);
    }

    #[test]
    fn a_long_list_leaves_every_fifth_call_to_others() {
        let mut queue = Queue { polls: 1, work: 0, details: 1, in_a_row: 0 };
        let mut went = String::new();
        for _ in 0..11 {
            let next = if queue.yields(Priority::Poll) { Priority::Detail } else { Priority::Poll };
            assert!(!queue.yields(next));
            went.push(if next == Priority::Poll { 'p' } else { 'd' });
            queue.went(next);
        }
        assert_eq!(went, "ppppdppppdp");
        queue.details = 0;
        queue.in_a_row = 100;
        assert!(!queue.yields(Priority::Poll), "nobody else wants it");
    }
}
