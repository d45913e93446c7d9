//! A virtual environment under `target/`, made once and made anew when what it holds changed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::apt;
use crate::command::{Outcome, capture, program, run};
use crate::interpreters::Interpreter;
use crate::tree;

/// An environment that has its packages.
pub(crate) struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// The environment `target/NAME` with the packages of some requirements files.
    pub(crate) fn ready(
        interpreter: &Interpreter,
        name: &str,
        requirements: &[&str],
    ) -> Outcome<Self> {
        let venv = Self { folder: tree::root().join("target").join(name) };
        let stamp = venv.folder.join("stamp");
        let mut wanted = format!("{}\n{}\n", interpreter.executable.display(), interpreter.build);
        for file in requirements {
            wanted += &tree::read(file)?;
        }
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(venv);
        }
        venv.make(interpreter, requirements)?;
        // Last, so that an environment that was left half made is made again.
        fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
        Ok(venv)
    }

    /// Its interpreter, with the package of this repository in reach.
    pub(crate) fn python(&self) -> Command {
        let place = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        let mut python = program(self.folder.join(place));
        python.env("PYTHONPATH", tree::root().join("python"));
        python
    }

    fn make(&self, interpreter: &Interpreter, requirements: &[&str]) -> Outcome {
        require_module(interpreter)?;
        let clear = ["-m", "venv", "--clear"];
        run(program(&interpreter.executable).args(clear).arg(&self.folder))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let files = requirements.iter().flat_map(|file| ["--requirement", file]);
        run(self.python().args(install).args(files))
    }
}

/// Debian keeps the module `venv` in a package of its own: installs it where that needs no
/// password, and otherwise says what to type.
fn require_module(interpreter: &Interpreter) -> Outcome {
    let works =
        || capture(program(&interpreter.executable).args(["-c", "import ensurepip, venv"])).is_ok();
    if works() {
        return Ok(());
    }
    let package = format!("python{}-venv", interpreter.version());
    let advice = || {
        format!(
            "{} has no module venv. On Debian and Ubuntu, type:\n    sudo apt-get install {package}",
            interpreter.executable.display()
        )
    };
    let install = ["install", "--yes", "--no-install-recommends", &package];
    for words in [&["update"][..], &install] {
        apt::as_root(words).ok_or_else(advice)??;
    }
    if works() { Ok(()) } else { Err(advice()) }
}
