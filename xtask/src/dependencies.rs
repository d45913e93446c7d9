//! The walls between the crates: which names may not appear in whose dependencies.
//!
//! The engine knows no Python, no runtime, no network and no serialization, and one crate alone
//! speaks to the interpreter. Cargo's own answer is read, so that a name that comes in through
//! somebody else's crate is seen too.

use std::fs;

use crate::command::{self, Outcome};
use crate::tree;

/// The only crate that may name pyo3.
const BINDING: &str = "cachine-py";

/// What may not appear below a crate.
fn forbidden(package: &str) -> &'static [&'static str] {
    match package {
        BINDING => &[],
        "cachine-core" => &["pyo3", "tokio", "redis", "serde", "cachine-codec"],
        "cachine-codec" => &["pyo3", "tokio", "redis"],
        _ => &["pyo3"],
    }
}

/// What is wrong with the dependencies, a line each.
pub(crate) fn findings() -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for package in packages()? {
        let words = ["tree", "--edges", "normal", "--prefix", "none", "--all-features"];
        let tree = command::capture(command::cargo(&words).args(["--package", &package]))?;
        found.extend(trespassers(&package, &tree));
    }
    Ok(found)
}

/// The crates of the workspace, by the names of their folders.
fn packages() -> Outcome<Vec<String>> {
    let folder = fs::read_dir(tree::root().join("crates"));
    let entries = folder.map_err(|error| format!("crates: {error}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut packages: Vec<String> = names.chain(["xtask".to_owned()]).collect();
    packages.sort_unstable();
    Ok(packages)
}

/// The forbidden names in what `cargo tree --prefix none` printed.
fn trespassers(package: &str, tree: &str) -> Vec<String> {
    let belongs = |name: &str, family: &str| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    let is_forbidden = |name: &&str| forbidden(package).iter().any(|family| belongs(name, family));
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = names.filter(is_forbidden).collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(|name| format!("{package} may not depend on {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_and_its_family_are_found() {
        let tree = "cachine-core v0.1.0 (/x)\nhashbrown v0.17.2\nserde_core v1.0.2\n\
                    serde_core v1.0.2 (*)\nserde v1.0.2\nserdes v1.0.0\n";
        let expected =
            ["cachine-core may not depend on serde", "cachine-core may not depend on serde_core"];
        assert_eq!(trespassers("cachine-core", tree), expected);
    }

    #[test]
    fn only_the_binding_may_name_pyo3() {
        let tree = "x v0.1.0\npyo3-ffi v0.30.1\n";
        assert_eq!(trespassers("cachine", tree), ["cachine may not depend on pyo3-ffi"]);
        assert!(trespassers("cachine-py", tree).is_empty());
    }
}
