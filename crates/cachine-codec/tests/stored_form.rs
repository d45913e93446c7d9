//! The stored form against the rules of its specification: random payloads, random operations, every
//! combination of steps, read back by every other one.
//!
//! It was written before the golden files were pinned, so that no mistake is frozen in them. The model
//! knows nothing of frames: it keeps a payload, its metadata and whether it was encrypted.

#[path = "stored_form/model.rs"]
mod model;
#[path = "stored_form/payloads.rs"]
mod payloads;
#[path = "stored_form/rules.rs"]
mod rules;

use model::Model;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRunner};

/// Lists of operations.
const CASES: u32 = 1500;

#[test]
fn every_entry_keeps_its_payload_and_its_metadata_through_every_operation() {
    let operations = prop::collection::vec(model::operation(), 1..10);
    let rng_algorithm = RngAlgorithm::XorShift;
    let config = Config { failure_persistence: None, rng_algorithm, ..Config::with_cases(CASES) };
    let outcome = TestRunner::new(config).run(&operations, |operations| {
        let mut model = Model::default();
        for operation in operations {
            model.run(operation);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
