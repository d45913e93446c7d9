//! The compiled part of the Python package, built for one interpreter and put beside the package.
//!
//! A plain `cargo build` and a copy: no build tool has to be installed, and no Python headers. Each
//! interpreter has a target folder of its own, because the settings of one invalidate the other's.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;
use std::process::Command;
use std::{fs, process};

use crate::command::{self, Outcome};
use crate::interpreters::Interpreter;
use crate::tree;

/// Which compiler settings the extension gets: names of profiles in `Cargo.toml`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile {
    /// As it is published.
    Release,
    /// Quick to compile, with every assertion on.
    Test,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Test => "test-ext",
        }
    }
}

/// Builds the extension and installs it in `python/cachine`.
pub(crate) fn build(interpreter: &Interpreter, profile: Profile) -> Outcome {
    let profile = profile.name();
    let folder = tree::root().join("target").join(format!("py{}", interpreter.version()));
    let mut build = command::cargo(&["build", "--package", "cachine-py", "--profile", profile]);
    command::run(settings(&mut build, interpreter).arg("--target-dir").arg(&folder))?;
    let built = folder.join(profile).join(format!("{DLL_PREFIX}_core{DLL_SUFFIX}"));
    install(&built, &format!("_core{}", interpreter.suffix))
}

/// Tells a cargo command that compiles the binding for which interpreter, and that this one, not
/// a linked libpython, will provide the C API.
pub(crate) fn settings<'a>(command: &'a mut Command, for_: &Interpreter) -> &'a mut Command {
    command.env("PYO3_PYTHON", &for_.executable).env("PYO3_BUILD_EXTENSION_MODULE", "1")
}

/// Puts the library under its name in one step: a process that has the old one loaded keeps it,
/// one that starts now finds the old or the new one, never half of it.
fn install(built: &Path, name: &str) -> Outcome {
    let package = tree::root().join("python/cachine");
    let draft = package.join(format!("{name}.{}", process::id()));
    fs::copy(built, &draft)
        .and_then(|_| fs::rename(&draft, package.join(name)))
        .map_err(|error| format!("could not install {}: {error}", built.display()))
}
