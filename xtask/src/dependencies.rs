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
        // A runtime beside the interpreter's own would bring threads, and trouble at forks and exits.
        BINDING => &["tokio"],
        "cachine-core" => &["pyo3", "tokio", "redis", "serde", "cachine-codec"],
        "cachine-codec" => &["pyo3", "tokio", "redis"],
        // It must not ask the client under test about itself.
        "cachine-testkit" => &["pyo3", "tokio", "redis", "cachine"],
        _ => &["pyo3"],
    }
}

/// What whoever takes the Rust door as it is does not get: features are for those who ask.
const NOT_BY_DEFAULT: &[&str] = &["cachine-redis", "redis", "rustls", "tokio"];

/// What is wrong with the dependencies, a line each.
pub(crate) fn findings() -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for package in packages()? {
        let tree = dependencies(&package, &["--all-features"])?;
        found.extend(trespassers(&package, forbidden(&package), &tree));
    }
    let tree = dependencies("cachine", &[])?;
    found.extend(trespassers("cachine without features", NOT_BY_DEFAULT, &tree));
    Ok(found)
}

/// What a package is built with, a line each.
fn dependencies(package: &str, features: &[&str]) -> Outcome<String> {
    let words = ["tree", "--edges", "normal", "--prefix", "none", "--package", package];
    command::capture(command::cargo(&words).args(features))
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

/// The forbidden names in what `cargo tree --prefix none` printed, without the package itself.
fn trespassers(package: &str, forbidden: &[&str], tree: &str) -> Vec<String> {
    let belongs = |name: &str, family: &str| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    let is_forbidden = |name: &&str| forbidden.iter().any(|family| belongs(name, family));
    let names = tree.lines().skip(1).filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = names.filter(is_forbidden).collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(|name| format!("{package} may not depend on {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(package: &str, tree: &str) -> Vec<String> {
        trespassers(package, forbidden(package), tree)
    }

    #[test]
    fn a_forbidden_crate_and_its_family_are_found() {
        let tree = "cachine-core v0.1.0 (/x)\nhashbrown v0.17.2\nserde_core v1.0.2\n\
                    serde_core v1.0.2 (*)\nserde v1.0.2\nserdes v1.0.0\n";
        let expected =
            ["cachine-core may not depend on serde", "cachine-core may not depend on serde_core"];
        assert_eq!(found("cachine-core", tree), expected);
    }

    #[test]
    fn only_the_binding_may_name_pyo3() {
        let tree = "x v0.1.0\npyo3-ffi v0.30.1\n";
        assert_eq!(found("cachine", tree), ["cachine may not depend on pyo3-ffi"]);
        assert_eq!(found("cachine-redis", tree), ["cachine-redis may not depend on pyo3-ffi"]);
        assert!(found("cachine-py", tree).is_empty());
    }

    #[test]
    fn the_wheel_has_no_runtime_and_the_door_as_it_is_no_network() {
        let tree = "x v0.1.0\ncachine-redis v0.1.0\nredis v1.8.1\ntokio v1.54.0\n";
        assert_eq!(found("cachine-py", tree), ["cachine-py may not depend on tokio"]);
        let expected =
            ["cachine-redis", "redis", "tokio"].map(|name| format!("x may not depend on {name}"));
        assert_eq!(trespassers("x", NOT_BY_DEFAULT, tree), expected);
    }
}
