//! A run in stages: each has a name and a time, and a failure stops none of those after it.
//!
//! One run then shows everything that is wrong, and the last line is the sum that a machine reads.

use std::process::ExitCode;
use std::time::Instant;

use crate::command::Outcome;
use crate::tally::Tally;

/// What ran so far.
#[derive(Default)]
pub(crate) struct Stages {
    tally: Tally,
    failed: Vec<String>,
}

impl Stages {
    /// Runs a stage that counts tests.
    pub(crate) fn count(&mut self, name: &str, work: impl FnOnce() -> Outcome<Tally>) {
        println!("== {name}");
        let start = Instant::now();
        let tally = work().unwrap_or_else(|message| {
            println!("{message}");
            Tally::FAIL
        });
        let verdict = if tally.failed == 0 { "passed" } else { "FAILED" };
        println!("== {name} {verdict} in {:.1} s\n", start.elapsed().as_secs_f64());
        if tally.failed > 0 {
            self.failed.push(name.to_owned());
        }
        self.tally += tally;
    }

    /// Runs a stage that counts as one test.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        self.count(name, || work().map(|()| Tally::PASS));
    }

    /// Says what failed and, in the last line, how much.
    pub(crate) fn close(self) -> ExitCode {
        let Tally { passed, failed } = self.tally;
        if !self.failed.is_empty() {
            println!("failed: {}", self.failed.join(", "));
        }
        println!("{passed} passed, {failed} failed");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
