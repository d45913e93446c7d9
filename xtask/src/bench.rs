//! `cargo x bench`: hits, serializers and Redis beside their peers, each table in one process and one
//! run.

use crate::command::{self, Outcome};
use crate::extension::{self, Profile};
use crate::interpreters::Interpreter;
use crate::servers::Servers;
use crate::venv::Venv;

/// Builds the extension as it is published and runs the benchmarks.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let interpreter = Interpreter::at_hand()?;
    extension::build(&interpreter, Profile::Release)?;
    let venv = Venv::ready(&interpreter, "venv-bench", &["benches/requirements.txt"])?;
    command::run(venv.python().arg("benches/hit.py").args(arguments))?;
    command::run(venv.python().arg("benches/values.py"))?;
    let servers = Servers::ready()?;
    command::run(servers.told(venv.python().arg("benches/redis_server.py")))?;
    command::run(servers.told(venv.python().args(["benches/redis_server.py", "--one-core"])))?;
    command::run(servers.told(venv.python().arg("benches/invalidation.py")))?;
    command::run(servers.told(venv.python().arg("benches/stampede.py")))
}
