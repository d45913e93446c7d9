//! `cargo x bench`: hits and serializers beside their peers, each table in one process and one run.

use crate::command::{self, Outcome};
use crate::extension::{self, Profile};
use crate::interpreters::Interpreter;
use crate::venv::Venv;

/// Builds the extension as it is published and runs the benchmarks.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let interpreter = Interpreter::at_hand()?;
    extension::build(&interpreter, Profile::Release)?;
    let venv = Venv::ready(&interpreter, "venv-bench", &["benches/requirements.txt"])?;
    command::run(venv.python().arg("benches/hit.py").args(arguments))?;
    command::run(venv.python().arg("benches/values.py"))
}
