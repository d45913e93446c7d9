//! `cargo x check`: the rules of the house that a machine can watch.
//!
//! What clippy can see (a long function, a banned call, a missing doc) is left to clippy, in
//! `clippy.toml` and the lint tables of `Cargo.toml`; here is what it can't.

use std::process::ExitCode;

use crate::command::{self, Outcome};
use crate::extension::{self, Profile};
use crate::interpreters::Interpreter;
use crate::stage::Stages;
use crate::{dependencies, markdown, source, tree};

/// The most lines of code in a file.
const LINES: usize = 600;

/// Names that say nothing about what is inside.
const HOMELESS: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "manager"];

/// Findings that are let pass: the path, and the reason. Expected to stay empty.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Runs the checks alone.
pub(crate) fn run() -> ExitCode {
    let mut stages = Stages::default();
    self::stages(&mut stages);
    stages.close()
}

/// The checks as stages of a longer run.
pub(crate) fn stages(stages: &mut Stages) {
    stages.run("format", || command::run(&mut command::cargo(&["fmt", "--all", "--check"])));
    stages.run("lint", lint);
    stages.run("dependencies", || verdict(&dependencies::findings()?));
    stages.run("sizes", || over_files(size));
    stages.run("names", || over_files(|path, _| name(path)));
    stages.run("heads", || over_files(head));
    stages.run("pages", || verdict(&markdown::findings(&tree::files()?)?));
    stages.run("stub", stub);
}

fn lint() -> Outcome {
    let mut clippy = command::cargo(&["clippy", "--workspace", "--all-targets", "--all-features"]);
    extension::settings(&mut clippy, &Interpreter::newest()?);
    command::run(clippy.args(["--", "-D", "warnings"]))
}

/// The stub of the compiled module against the module itself.
fn stub() -> Outcome {
    let interpreter = Interpreter::newest()?;
    extension::build(&interpreter, Profile::Test)?;
    let mut drift = command::program(&interpreter.executable);
    drift.env("PYTHONPATH", tree::root().join("python"));
    command::run(drift.args(["xtask/drift.py", "python/cachine/_core.pyi"]))
}

/// Asks `rule` about each file of code, by its path and its text.
fn over_files(rule: impl Fn(&str, &str) -> Option<String>) -> Outcome {
    let mut findings = Vec::new();
    for path in tree::files()?.iter().filter(|path| is_code(path)) {
        let excepted = EXCEPTIONS.iter().any(|(exception, _)| exception == path);
        let finding = rule(path, &tree::read(path)?).filter(|_| !excepted);
        findings.extend(finding.map(|finding| format!("{path}: {finding}")));
    }
    verdict(&findings)
}

fn verdict(findings: &[String]) -> Outcome {
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

fn is_code(path: &str) -> bool {
    ["rs", "py", "pyi"].iter().any(|suffix| tree::is_a(path, suffix))
}

/// A file has at most so many lines of code.
fn size(path: &str, text: &str) -> Option<String> {
    let lines =
        if tree::is_a(path, "rs") { source::rust_lines(text) } else { source::python_lines(text) };
    (lines > LINES).then(|| format!("{lines} lines of code; the bound is {LINES}"))
}

/// A file and its folders are named after what is inside.
fn name(path: &str) -> Option<String> {
    let bad = |part: &&str| {
        let stem = part.split('.').next().unwrap_or_default();
        *part == "mod.rs" || HOMELESS.contains(&stem)
    };
    let part = path.split('/').find(bad)?;
    Some(format!("`{part}` says nothing about what is inside"))
}

/// A file begins with what it is.
fn head(path: &str, text: &str) -> Option<String> {
    let rust = tree::is_a(path, "rs") && !text.starts_with("//!");
    let is_python = tree::is_a(path, "py") && path.starts_with("python/");
    let python = is_python && !text.starts_with("\"\"\"") && !text.starts_with("r\"\"\"");
    (rust || python).then(|| "does not begin with a sentence that says what it is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_bound_is_found() {
        let at_bound = "let a = 1;\n".repeat(LINES);
        assert_eq!(size("a.rs", &format!("// b\n\n{at_bound}")), None);
        assert!(size("a.rs", &format!("{at_bound}let b;")).is_some());
        assert!(size("a.py", &format!("{at_bound}b = 2")).is_some());
    }

    #[test]
    fn a_homeless_name_is_found_in_files_and_folders() {
        assert!(name("crates/cachine/src/utils.rs").is_some());
        assert!(name("python/cachine/common/lock.py").is_some());
        assert!(name("crates/cachine-core/src/policy/mod.rs").is_some());
        assert_eq!(name("crates/cachine-core/src/policy/common_sense.rs"), None);
    }

    #[test]
    fn a_file_without_a_head_is_found() {
        assert_eq!(head("a.rs", "//! What.\n"), None);
        assert!(head("a.rs", "use std::fs;\n//! What.\n").is_some());
        assert_eq!(head("python/cachine/a.py", "\"\"\"What.\"\"\"\n"), None);
        assert!(head("python/cachine/a.py", "import os\n").is_some());
        assert_eq!(head("tests/test_a.py", "import os\n"), None);
    }
}
