//! The files of the repository, as the checks see them: by path from the root, with slashes.
//!
//! The folder itself is walked, not what git knows, so that a new file is checked before its first
//! commit and an unpacked archive like a clone.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::command::Outcome;

/// Folders that hold what was made, not what was written. Hidden ones are passed by too.
const MADE: &[&str] = &["target", "dist", "__pycache__", "node_modules"];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // Cargo says where this crate lies now; the clone may have moved since it was compiled.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&own).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The paths of all files, sorted.
pub(crate) fn files() -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found).map_err(|error| format!("could not read the tree: {error}"))?;
    found.sort_unstable();
    Ok(found)
}

/// The text of a file.
pub(crate) fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// Whether a path ends in this suffix.
pub(crate) fn is_a(path: &str, suffix: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == suffix)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !MADE.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}
