//! The walk against a simulated remote: ties by the hundred, rows that change meanwhile, a service that does not
//! sort.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::paging::{Row, Walk};
use crate::connectors::testing::cases;

const TOP: usize = 50;

/// Time `tick` of the service's clock, which steps by 1/300 s and is shown rounded to 100 ns.
fn at(tick: i64) -> Timestamp {
    let hundreds = (tick * 100_000 + 1) / 3;
    Timestamp::from_nanosecond(1_700_000_000_000_000_000 + i128::from(hundreds) * 100).unwrap()
}

/// Rows by id, each with the tick of its last update.
#[derive(Clone, Debug)]
struct Remote {
    rows: BTreeMap<u32, i64>,
    sorts: bool,
}

impl Remote {
    fn page(&self, walk: &Walk) -> Vec<(u32, i64)> {
        let bound: Timestamp = walk.literal().parse().unwrap();
        let mut rows: Vec<_> = self.rows.iter().map(|(id, tick)| (*id, *tick)).collect();
        rows.retain(|(_, tick)| at(*tick) >= bound);
        if self.sorts {
            rows.sort_by_key(|(id, tick)| (*tick, *id));
        }
        rows.into_iter().skip(walk.skip()).take(TOP).collect()
    }

    /// Walks to the end; before page `n` the rows that `changes` names for it are updated.
    fn walk(&mut self, since: i64, changes: &[(usize, u32, bool)]) -> (BTreeMap<u32, i64>, usize) {
        let (mut seen, mut pages) = (BTreeMap::new(), 0);
        let mut walk = Some(Walk::new(at(since)));
        while let Some(current) = walk {
            for (_, id, same_tick) in changes.iter().filter(|(page, ..)| *page == pages) {
                let now = self.rows.values().max().unwrap() + i64::from(!same_tick);
                self.rows.insert(*id, now);
            }
            let rows = self.page(&current);
            pages += 1;
            assert!(pages < 1000, "the walk does not end");
            let marks: Vec<_> =
                rows.iter().map(|(id, t)| Row { id: Some(id.to_string()), time: Some(at(*t)) }).collect();
            let full = rows.len() == TOP;
            seen.extend(rows);
            walk = current.next(&marks, full);
        }
        (seen, pages)
    }
}

/// Few distinct ticks, so that many rows share one.
fn remote() -> impl Strategy<Value = Remote> {
    let rows = prop::collection::vec(prop_oneof![3 => 0..3_i64, 1 => 0..400_i64], 1..400);
    rows.prop_map(|ticks| Remote { rows: (0..).zip(ticks).collect(), sorts: true })
}

/// Walks a list of weighted rows, of which no page may weigh more than `limit`.
fn walk_weighted(weights: &[u32], ticks: &[i64], limit: u32) -> (Vec<usize>, usize) {
    let mut rows: Vec<_> = (0..weights.len()).collect();
    rows.sort_by_key(|id| (ticks[*id], *id));
    let (mut seen, mut pages, mut walk) = (Vec::new(), 0, Some(Walk::new(at(0))));
    while let Some(current) = walk {
        pages += 1;
        assert!(pages < 5_000, "the walk does not end");
        let bound: Timestamp = current.literal().parse().unwrap();
        let since = rows.iter().copied().filter(|id| at(ticks[*id]) >= bound);
        let page: Vec<_> = since.skip(current.skip()).take(current.top(TOP)).collect();
        if page.iter().map(|id| weights[*id]).sum::<u32>() > limit {
            walk = Some(current.smaller(TOP).0);
            continue;
        }
        let marks: Vec<_> =
            page.iter().map(|id| Row { id: Some(id.to_string()), time: Some(at(ticks[*id])) }).collect();
        walk = current.next(&marks, page.len() == current.top(TOP));
        seen.extend(page);
    }
    seen.sort_unstable();
    seen.dedup();
    (seen, pages)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn of_pages_that_are_too_large_only_rows_too_large_alone_are_lost(
        rows in prop::collection::vec((prop_oneof![5 => 0..3_u32, 2 => 20..60_u32, 1 => Just(101)], 0..200_i64), 1..200),
    ) {
        let (weights, ticks): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let (seen, _) = walk_weighted(&weights, &ticks, 100);
        let fits: Vec<_> = (0..weights.len()).filter(|id| weights[*id] <= 100).collect();
        prop_assert_eq!(seen, fits);
    }

    #[test]
    fn nothing_is_lost_while_rows_change(
        mut remote in remote(),
        since in 0..3_i64,
        // Fewer times than a stretch is begun anew, several rows at a time.
        changes in prop::collection::vec((0..9_usize, 0..100_u32, 1..8_u32, any::<bool>()), 0..=5),
    ) {
        let rows = u32::try_from(remote.rows.len()).unwrap();
        let changes: Vec<_> = changes
            .into_iter()
            .flat_map(|(page, id, count, same)| (id..id + count).map(move |id| (page, id % rows, same)))
            .collect();
        let (seen, _) = remote.walk(since, &changes);
        for (id, tick) in remote.rows.iter().filter(|(_, tick)| **tick >= since) {
            prop_assert_eq!(seen.get(id), Some(tick), "row {}", id);
        }
    }

    #[test]
    fn an_unsorted_list_is_walked_whole(count in 1..400_u32, since in 0..200_i64) {
        // By id, with the newest first, as the service does without `$orderby`.
        let rows = (0..count).map(|id| (id, i64::from(400 - id))).collect();
        let mut remote = Remote { rows, sorts: false };
        let (seen, _) = remote.walk(since, &[]);
        let expected: Vec<_> = remote.rows.iter().filter(|(_, tick)| **tick >= since).collect();
        prop_assert_eq!(seen.iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn rows_that_leave_their_instant_under_a_skip_take_no_others_along() {
    let mut remote = Remote { rows: (0..200).map(|id| (id, 7)).collect(), sorts: true };
    let leaving: Vec<_> = (0..5).map(|id| (2, id, false)).collect();
    let (seen, _) = remote.walk(7, &leaving);
    assert_eq!(seen, remote.rows);
}

#[test]
fn one_instant_of_many_rows_costs_few_more_pages() {
    let mut remote = Remote { rows: (0..500).map(|id| (id, 7)).collect(), sorts: true };
    let (seen, pages) = remote.walk(0, &[]);
    assert_eq!((seen.len(), pages), (500, 12));
}

#[test]
fn a_row_that_is_too_large_costs_few_more_pages() {
    let ticks: Vec<i64> = (0..100).map(|n| n * 1_000_000).collect();
    for huge in [0, 50, 99] {
        let weights: Vec<u32> = (0..100).map(|n| if n == huge { 101 } else { 1 }).collect();
        let (seen, pages) = walk_weighted(&weights, &ticks, 100);
        assert!(seen.len() == 99 && pages < 25, "{huge}: {} seen in {pages} pages", seen.len());
    }
}

#[test]
fn the_bound_never_lies_above_its_own_instant_nor_reaches_the_one_before() {
    for tick in 1..900 {
        let bound: Timestamp = Walk::new(at(tick)).literal().parse().unwrap();
        assert!(bound <= at(tick) && bound > at(tick - 1), "{tick}");
    }
}

#[test]
fn a_service_that_stops_paging_does_not_end_the_walk() {
    let tie: Vec<_> = (0..50).map(|n| Row { id: Some(n.to_string()), time: Some(at(0)) }).collect();
    let mut walk = Walk::new(at(0)).next(&tie, true).unwrap();
    for _ in 0..5 {
        walk = walk.next(&[], false).unwrap();
        assert_eq!((walk.skip(), walk.literal()), (0, Walk::new(at(0)).literal()));
        walk = walk.next(&tie, true).unwrap();
    }
    walk = walk.next(&[], false).unwrap();
    let bound: Timestamp = walk.literal().parse().unwrap();
    assert!(bound > at(0) && bound < at(1) && walk.skip() == 0);
    assert!(walk.next(&[], false).is_none());
}

#[test]
fn rows_that_cannot_be_read_do_not_hold_up_the_walk() {
    let blank = || Row { id: None, time: None };
    let walk = Walk::new(at(0));
    let next = walk.next(&vec![blank(); TOP], true).unwrap();
    assert_eq!((next.skip(), next.literal()), (TOP, walk.literal()));
    let mixed: Vec<_> =
        (0..49).map(|n| Row { id: Some(n.to_string()), time: Some(at(n)) }).chain([blank()]).collect();
    assert_eq!(walk.next(&mixed, true).unwrap().literal(), Walk::new(at(48)).literal());
    assert!(walk.next(&mixed[..3], false).is_none());
}
