//! Histories that are played with every change, and those that once broke something.

use super::{Campaign, Plan, Scenes, driver, play, shrink};
use crate::planted::{Defect, with};

/// Seeds that broke something when they were first played. What they found is put back as a planted defect, or was a
/// mistake of the judge.
const ONCE_BROKEN: [u64; 85] = [
    63, 118, 139, 154, 157, 205, 272, 278, 289, 382, 618, 669, 792, 911, 946, 1034, 1066, 1321, 1593, 2262,
    5101, 5717, 7048, 7313, 9432, 10_343, 11_347, 15_616, 16_016, 16_401, 32_292, 49_481, 49_910, 64_595,
    93_291, 104_364, 104_745, 1_092_873, 1_552_921, 1_580_111, 1_580_746, 3_028_151, 3_029_423, 3_029_895,
    3_110_303, 3_158_956, 3_285_319, 3_293_829, 4_033_332, 5_142_854, 6_006_336, 6_059_275, 10_161_798,
    10_168_509, 10_424_289, 10_472_045, 10_518_336, 10_684_122, 10_720_285, 10_773_526, 10_904_484,
    10_917_622, 10_936_564, 30_826_252, 70_129_761, 70_801_560, 70_869_627, 90_824_313, 90_928_604,
    110_321_921, 110_992_503, 130_063_269, 130_257_273, 130_834_088, 130_871_959, 140_014_041, 140_041_003,
    140_909_400, 150_876_628, 170_681_644, 170_705_612, 190_077_523, 190_267_874, 200_955_374, 230_341_208,
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where they begin: what must pass before a change goes in is the same for everybody. Fresh ones are for campaigns.
const FIRST: u64 = 3_000_000;

/// `LOCKSTEP_HISTORIES` and `LOCKSTEP_SEED` say how many, and from where; `lockstep simulate` plays fresh ones.
#[test]
fn twenty_thousand_histories_break_nothing() {
    let (seed, histories) = (number("LOCKSTEP_SEED", FIRST), number("LOCKSTEP_HISTORIES", 20_000));
    println!("LOCKSTEP_SEED={seed} LOCKSTEP_HISTORIES={histories}");
    let tally = Campaign { seed, histories, threads: 2 }.run(&Scenes::ours().unwrap(), &|| ()).unwrap();
    assert_eq!(
        tally.broken,
        Vec::<u64>::new(),
        "replay one with `lockstep simulate --histories 1 --seed SEED`"
    );
}

#[test]
fn what_once_broke_something_does_not_any_more() {
    let scenes = Scenes::ours().unwrap();
    let driver = driver().unwrap();
    let _entered = driver.enter();
    for seed in ONCE_BROKEN {
        let violations = play(&Plan::draw(seed, &scenes), false).violations;
        assert_eq!(violations, [], "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let scenes = Scenes::ours().unwrap();
    let driver = driver().unwrap();
    let _entered = driver.enter();
    for seed in 0..20 {
        let timeline = || play(&Plan::draw(seed, &scenes), true).timeline;
        assert_eq!(timeline(), timeline(), "seed {seed}");
    }
}

#[test]
fn a_failing_history_shrinks_to_what_it_needs() {
    let scenes = Scenes::ours().unwrap();
    let driver = driver().unwrap();
    let _entered = driver.enter();
    with(Defect::WriteNotTold, || {
        let plan = (0..1000)
            .map(|seed| Plan::draw(seed, &scenes))
            .find(|plan| !play(plan, false).violations.is_empty());
        let plan = plan.unwrap();
        let small = shrink(&plan);
        assert!(!play(&small, false).violations.is_empty());
        assert!(small.acts.len() < 8 && small.acts.len() < plan.acts.len(), "{:#?}", small.acts);
    });
}
