//! The worker with its tasks, on a clock that runs as fast as nothing happens.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::memory_systems::{SENTINEL, World, defender, incident, second, sentinel, site};
use super::shell::{Clock, Parts};
use crate::http::CallError;
use crate::model::{Field, Native, SystemName};
use crate::reconcile::testing::rules;
use crate::store::{Change, Store, StoreError};

/// Runs a worker on a world until it is stopped.
struct Running {
    world: World,
    stop: CancellationToken,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Running {
    fn begin(world: World) -> Self {
        let (stop, began) = (CancellationToken::new(), Instant::now());
        let clock = Clock::of(move || second(1000) + SignedDuration::try_from(began.elapsed()).unwrap());
        let parts = Parts { clock, ..world.parts() };
        let task = tokio::spawn(Engine::new(parts, stop.clone()).run());
        Self { world, stop, task }
    }

    /// A worker that knows a pair.
    async fn pair() -> Self {
        let world = World::new(rules());
        world.system("defender").shows(defender(1, "active"));
        world.system("sentinel").shows(sentinel(1, "New"));
        let running = Self::begin(world);
        sleep(Duration::from_secs(15)).await;
        running.world.mapping();
        running
    }

    async fn end(self) -> World {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.world
    }
}

fn status(world: &World) -> Native {
    world.system("sentinel").record(SENTINEL).native[&Field::Status].clone()
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_carried_within_a_poll_and_the_worker_ends_when_told() {
    let running = Running::pair().await;
    running.world.system("defender").shows(defender(5, "resolved"));
    assert!(!running.task.is_finished());
    sleep(Duration::from_secs(11)).await;
    assert_eq!(status(&running.world), Native::text(Some("Closed")));
    assert_eq!(running.world.store.counts().inbox, 0);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_waits_is_woken_at_its_time() {
    let running = Running::pair().await;
    let name = SystemName::new("sentinel").unwrap();
    let retry_after = Some(Duration::from_secs(3));
    let throttled = CallError::Throttled { site: Box::new(site(&name)), retry_after, message: String::new() };
    running.world.system("sentinel").state.lock().unwrap().fails_update = Some(throttled);
    running.world.system("defender").shows(defender(5, "resolved"));
    sleep(Duration::from_secs(10)).await;
    assert!(running.world.told("Failed") || status(&running.world) == Native::text(Some("New")));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(
        status(&running.world),
        Native::text(Some("Closed")),
        "3 s, and not when something else happens"
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_mapping_is_worked_on_by_one_task_at_a_time() {
    let running = Running::pair().await;
    running.world.system("sentinel").state.lock().unwrap().takes = Duration::from_secs(25);
    for n in 5..9 {
        let word = if n % 2 == 0 { "active" } else { "inProgress" };
        running.world.system("defender").shows(defender(n, word));
    }
    sleep(Duration::from_mins(3)).await;
    assert_eq!(running.world.system("sentinel").state.lock().unwrap().most, 1);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn thirty_two_mappings_are_worked_on_at_once_and_no_more() {
    let mut rules = rules();
    rules.policy.create_in.insert(SystemName::new("sentinel").unwrap());
    let world = World::new(rules);
    world.system("sentinel").state.lock().unwrap().takes = Duration::from_secs(5);
    let many = (0..50).map(|n| incident(&format!("defender/incident/{n}"), 1, "active"));
    let pushed = many.map(|seen| Change::PushInbox(Box::new(seen))).collect();
    world.store.commit(pushed).await.unwrap();
    let running = Running::begin(world);
    sleep(Duration::from_mins(2)).await;
    assert_eq!(running.world.system("sentinel").state.lock().unwrap().most, 32);
    assert_eq!(running.world.system("sentinel").state.lock().unwrap().opened.len(), 50);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_panics_rests_and_the_others_go_on() {
    let world = World::new(rules());
    world.system("defender").shows(defender(1, "active"));
    world.system("sentinel").shows(sentinel(1, "New"));
    let running = Running::begin(world);
    sleep(Duration::from_secs(15)).await;
    let other = incident("sentinel/incident/h", 2, "New");
    running.world.system("defender").shows(incident("defender/incident/2", 2, "active"));
    let links = vec!["defender/incident/2".parse().unwrap()];
    running.world.system("sentinel").shows(crate::model::Snapshot { links, ..other });
    sleep(Duration::from_secs(15)).await;
    running.world.system("sentinel").state.lock().unwrap().panics = SENTINEL.parse().ok();
    for (n, word) in [(5, "inProgress"), (6, "active")] {
        running.world.system("defender").shows(defender(n, word));
        running.world.system("defender").shows(incident("defender/incident/2", n, "resolved"));
        sleep(Duration::from_secs(25)).await;
    }
    let defects = running.world.ear.defects.lock().unwrap().clone();
    assert_eq!(defects.len(), 1, "it is not tried again: {defects:?}");
    let carried =
        running.world.system("sentinel").record("sentinel/incident/h").native[&Field::Status].clone();
    assert_eq!(carried, Native::text(Some("Closed")));
    let world = running.end().await;
    assert_eq!(Arc::strong_count(&world.store), 1, "every task ended");
}
