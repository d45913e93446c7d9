//! The store against a naive model: tens of thousands of random lists of operations, compared and
//! checked after every single one.
//!
//! The engine is lazy (expired entries leave when traffic comes by), the model is not; so live
//! entries, their order and everything a caller can see must agree, and what the engine still
//! holds beyond that must be an entry that has expired. Every value, outcome and waker is counted
//! and calls back into the store when it dies, which only works under no lock.

#[path = "random/ledger.rs"]
mod ledger;
#[path = "random/naive.rs"]
mod naive;
#[path = "random/operations.rs"]
mod operations;
#[path = "random/run.rs"]
mod run;

use cachine_core::policy::Eviction;
use cachine_core::store::Bounds;
use operations::KEYS;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRunner};

/// Lists of operations for each policy.
const CASES: u32 = 10_000;

fn agrees_with_the_model(eviction: Eviction) {
    let large = (20..=KEYS as u64).prop_map(|most| (Some(most), None));
    let unbounded = Just((None, None));
    let sized = (1..=8_u64).prop_map(|most| (Some(most), None));
    let weighted = (1..=12_u64).prop_map(|most| (None, Some(most)));
    let both = (1..=8_u64, 4..=20_u64).prop_map(|(size, weight)| (Some(size), Some(weight)));
    let bounds = prop_oneof![1 => unbounded, 3 => sized, 1 => large, 2 => weighted, 1 => both];
    let operations = prop::collection::vec(operations::operation(), 1..60);
    // A strategy forks its generator at every choice, and the default one is dear to fork.
    let rng_algorithm = RngAlgorithm::XorShift;
    let config = Config { failure_persistence: None, rng_algorithm, ..Config::with_cases(CASES) };
    let outcome = TestRunner::new(config).run(&(bounds, operations), |(bounds, operations)| {
        let (max_size, max_weight) = bounds;
        run::run(Bounds { max_size, max_weight, eviction }, &operations);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn a_store_that_evicts_the_least_recently_used_agrees_with_the_naive_model() {
    agrees_with_the_model(Eviction::Lru);
}

#[test]
fn a_store_that_evicts_the_least_frequently_used_agrees_with_the_naive_model() {
    agrees_with_the_model(Eviction::Lfu);
}

#[test]
fn a_store_that_evicts_the_oldest_agrees_with_the_naive_model() {
    agrees_with_the_model(Eviction::Fifo);
}
