//! The Python interpreters of this machine that Cachine supports.
//!
//! A name on the search path is no proof (version managers put up names that only complain), so
//! each candidate is asked what it is, and the first of each minor version that answers is taken.

use std::env;
use std::path::{Path, PathBuf};

use crate::command::{self, Outcome};

/// The oldest minor version of Python 3 that is supported.
const OLDEST: u32 = 9;
/// The newest that is looked for by name. A newer `python3` is taken too.
const NEWEST: u32 = 13;

/// Prints a line each: executable, implementation, major and minor version, suffix of extensions.
const QUESTION: &str = r#"
import sys, sysconfig
print("\n".join([sys.executable, sys.implementation.name, "%d %d" % sys.version_info[:2],
                 str(sysconfig.get_config_var("EXT_SUFFIX")), sys.version.replace("\n", " ")]))
"#;

/// A CPython that can run Cachine.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    /// Itself, not the link or the wrapper that led to it.
    pub(crate) executable: PathBuf,
    /// How the file of an extension module ends: `.cpython-311-x86_64-linux-gnu.so`.
    pub(crate) suffix: String,
    /// All that it says about its version and build.
    pub(crate) build: String,
    minor: u32,
}

impl Interpreter {
    /// The `python3` at hand.
    pub(crate) fn at_hand() -> Outcome<Self> {
        Self::ask(Path::new("python3"))
    }

    /// The newest one of the machine.
    pub(crate) fn newest() -> Outcome<Self> {
        Self::all()?.pop().ok_or_else(none)
    }

    /// The oldest and the newest one of the machine: what changes between versions changes in one
    /// direction, so the two ends find nearly everything.
    pub(crate) fn ends() -> Outcome<Vec<Self>> {
        let mut found = Self::all()?;
        if found.len() > 2 {
            found.drain(1..found.len() - 1);
        }
        Ok(found)
    }

    /// One of each minor version, oldest first; at least one.
    pub(crate) fn all() -> Outcome<Vec<Self>> {
        let mut found: Vec<Self> = Vec::new();
        for candidate in candidates() {
            let known = |minor| found.iter().any(|other| other.minor == minor);
            if promised(&candidate).is_some_and(known) {
                continue;
            }
            if let Ok(interpreter) = Self::ask(&candidate)
                && !known(interpreter.minor)
            {
                found.push(interpreter);
            }
        }
        found.sort_by_key(|interpreter| interpreter.minor);
        if found.is_empty() { Err(none()) } else { Ok(found) }
    }

    /// Its version as people write it: `3.11`.
    pub(crate) fn version(&self) -> String {
        format!("3.{}", self.minor)
    }

    fn ask(candidate: &Path) -> Outcome<Self> {
        let name = candidate.display();
        let answer = command::capture(command::program(candidate).args(["-c", QUESTION]))
            .map_err(|_| format!("{name} does not run. {}", none()))?;
        Self::read(&answer).map_err(|reason| format!("{name} {reason}"))
    }

    fn read(answer: &str) -> Outcome<Self> {
        let lines: Vec<&str> = answer.lines().collect();
        let [executable, implementation, version, suffix, build] = lines[..] else {
            return Err(format!("is no Python interpreter. {}", none()));
        };
        let minor = version.strip_prefix("3 ").and_then(|minor| minor.parse().ok());
        match minor {
            Some(minor) if minor >= OLDEST && implementation == "cpython" => Ok(Self {
                executable: executable.into(),
                suffix: suffix.to_owned(),
                build: build.to_owned(),
                minor,
            }),
            _ => Err(format!("is {implementation} {}. {}", version.replace(' ', "."), none())),
        }
    }
}

/// The minor version that a name promises: 9 for `python3.9`.
fn promised(candidate: &Path) -> Option<u32> {
    candidate.file_name()?.to_str()?.strip_prefix("python3.")?.parse().ok()
}

/// Where an interpreter may be, in the order of preference.
fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).chain(pyenv()).collect();
    let names = (OLDEST..=NEWEST).map(|minor| format!("python3.{minor}"));
    let names: Vec<String> = std::iter::once("python3".to_owned()).chain(names).collect();
    let all = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
    all.filter(|candidate| candidate.is_file()).collect()
}

/// The folders of the interpreters that pyenv keeps.
fn pyenv() -> Vec<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv"));
    let root = env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(home);
    let versions = root.and_then(|root| root.join("versions").read_dir().ok());
    let mut folders: Vec<PathBuf> =
        versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
    folders.sort_unstable();
    folders
}

fn none() -> String {
    format!("Cachine needs CPython 3.{OLDEST} or newer: install one and put it on PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUFFIX: &str = ".cpython-311-x86_64-linux-gnu.so";

    #[test]
    fn a_supported_interpreter_is_read_from_its_answer() {
        let answer = format!("/bin/python3.11\ncpython\n3 11\n{SUFFIX}\n3.11.2 (main) [GCC]\n");
        let interpreter = Interpreter::read(&answer).unwrap();
        assert_eq!(interpreter.version(), "3.11");
        assert_eq!(interpreter.suffix, SUFFIX);
    }

    #[test]
    fn what_is_too_old_or_no_cpython_is_refused_with_its_version() {
        let old = Interpreter::read("/bin/python3\ncpython\n3 8\n.so\n3.8.18\n").unwrap_err();
        assert!(old.starts_with("is cpython 3.8. Cachine needs CPython 3.9 or newer"), "{old}");
        assert!(Interpreter::read("/bin/python\ncpython\n2 7\n.so\n2.7.18\n").is_err());
        assert!(Interpreter::read("/bin/pypy\npypy\n3 11\n.so\n3.11.2\n").is_err());
        assert!(Interpreter::read("").is_err());
    }
}
