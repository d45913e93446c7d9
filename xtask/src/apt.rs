//! The packages of Debian and Ubuntu: whether we may install, and the way there.

use std::path::Path;

use crate::command::{self, Outcome, capture, program};

/// Whether this machine has `apt-get`.
pub(crate) fn is_here() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// Runs `apt-get` with the rights of root, where that needs no password; otherwise `None`.
pub(crate) fn as_root(words: &[&str]) -> Option<Outcome> {
    let words: Vec<&str> = right()?.iter().chain(&["apt-get"]).chain(words).copied().collect();
    let mut apt = program(words[0]);
    Some(command::run(apt.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive")))
}

/// The words before `apt-get` that let us install a package, if we may.
fn right() -> Option<&'static [&'static str]> {
    if !is_here() {
        None
    } else if capture(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        Some(&[])
    } else if capture(program("sudo").args(["-n", "true"])).is_ok() {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}
