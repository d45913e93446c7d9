//! `cargo x demo`: from a fresh clone to the quickstart, in Python and in Rust.

use crate::command::{self, Outcome};
use crate::extension::{self, Profile};
use crate::interpreters::Interpreter;
use crate::venv::Venv;

/// Builds what the demo needs and runs it.
pub(crate) fn run() -> Outcome {
    let interpreter = Interpreter::at_hand()?;
    extension::build(&interpreter, Profile::Release)?;
    let venv = Venv::ready(&interpreter, "venv-demo", &["examples/requirements.txt"])?;
    command::run(venv.python().arg("examples/quickstart.py"))?;
    let rust = ["run", "--release", "--package", "cachine", "--example", "quickstart"];
    command::run(&mut command::cargo(&rust))
}
