//! Where the programs are that the tests start.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The server: what `CACHINE_REDIS_SERVER` names, else the first on the search path.
///
/// # Panics
///
/// If there is none, with the line to type.
pub fn redis_server() -> PathBuf {
    find("CACHINE_REDIS_SERVER", &["redis-server", "valkey-server"])
}

/// The command line of OpenSSL: what `CACHINE_OPENSSL` names, else the one on the search path.
///
/// # Panics
///
/// If there is none, with the line to type.
pub fn openssl() -> PathBuf {
    find("CACHINE_OPENSSL", &["openssl"])
}

fn find(variable: &str, names: &[&str]) -> PathBuf {
    if let Some(path) = setting(variable).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let path = setting("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut places =
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file()).unwrap_or_else(|| {
        let names = names.join(" or ");
        panic!("there is no {names} on PATH: `cargo x servers` gets one and says how to name it")
    })
}

#[expect(clippy::disallowed_methods, reason = "the suite hands the programs over in this way")]
fn setting(name: &str) -> Option<OsString> {
    env::var_os(name)
}
