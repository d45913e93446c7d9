//! `cargo x test`: everything that a change must pass, in stages from cheap to dear.

use std::process::ExitCode;

use crate::command::{self, Outcome};
use crate::extension::{self, Profile};
use crate::interpreters::Interpreter;
use crate::servers::Servers;
use crate::stage::Stages;
use crate::tally::Tally;
use crate::venv::Venv;
use crate::{check, pytest, tree};

/// What of the suite is run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    part: Part,
    all_interpreters: bool,
    pytest: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Everything,
    Rust,
    Python,
}

impl Selection {
    /// Reads the words after `cargo x test`; an error is the word that means nothing.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut selection = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "rust" if selection.part == Part::Everything => selection.part = Part::Rust,
                "python" if selection.part == Part::Everything => selection.part = Part::Python,
                "--all-interpreters" => selection.all_interpreters = true,
                "--" if selection.part == Part::Python => {
                    selection.pytest = words.by_ref().map(|&word| word.to_owned()).collect();
                }
                _ => return Err(word.to_owned()),
            }
        }
        Ok(selection)
    }
}

/// Runs the selected stages.
pub(crate) fn run(selection: &Selection) -> ExitCode {
    let mut stages = Stages::default();
    if selection.part == Part::Everything {
        check::stages(&mut stages);
    }
    let mut servers = None;
    stages.run("servers", || {
        servers = Some(Servers::ready()?);
        Ok(())
    });
    if selection.part != Part::Python {
        rust(&mut stages, servers.as_ref());
    }
    if selection.part != Part::Rust {
        python(&mut stages, servers.as_ref(), selection);
    }
    stages.close()
}

/// The programs that tests start; without them hundreds of tests would say so, each in its own way.
fn needed(servers: Option<&Servers>) -> Outcome<&Servers> {
    servers.ok_or_else(|| "not run: see the stage `servers`".to_owned())
}

fn rust(stages: &mut Stages, servers: Option<&Servers>) {
    let mut tests = vec!["test", "--workspace", "--exclude", "cachine-py", "--all-features"];
    tests.push("--no-fail-fast");
    stages.count("rust", || {
        let mut tests = command::cargo(&tests);
        needed(servers)?.told(&mut tests);
        cargo_test(tests)
    });
    stages.count("features", features);
    stages.count("model", || {
        let model = ["test", "--package", "cachine-core", "--test", "model"];
        let mut model = command::cargo(&model);
        // Its own folder, because the flags would invalidate everything that others built.
        model.args(["--target-dir", "target/shuttle"]).env("RUSTFLAGS", "--cfg shuttle");
        cargo_test(model)
    });
    stages.run("docs", || {
        let mut doc = command::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        command::run(extension::settings(&mut doc, &Interpreter::newest()?))
    });
}

/// Each feature of the crates with choices alone, and none of them: what is missing is said.
fn features() -> Outcome<Tally> {
    for package in ["cachine", "cachine-redis"] {
        let manifest = tree::read(&format!("crates/{package}/Cargo.toml"))?;
        for feature in std::iter::once("").chain(choices(&manifest)) {
            let check = ["check", "--package", package, "--no-default-features", "--features"];
            let mut check = command::cargo(&check);
            // Its own folder, because the flags would invalidate everything that others built.
            check.args([feature, "--target-dir", "target/features"]);
            command::run(check.env("RUSTFLAGS", "-D warnings"))?;
        }
    }
    let absent = ["test", "--package", "cachine-codec", "--no-default-features", "--test"];
    let mut absent = command::cargo(&absent);
    absent.args(["absent_features", "--target-dir", "target/features"]);
    cargo_test(absent)
}

/// The features that a manifest names, but for the default.
fn choices(manifest: &str) -> impl Iterator<Item = &str> {
    let table = manifest.split_once("[features]\n").map_or("", |(_, rest)| rest);
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    let names =
        lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" ="));
    names.map(|(name, _)| name).filter(|&name| name != "default")
}

/// Runs a cargo command that tests. A run in which no test ran has failed.
fn cargo_test(mut test: std::process::Command) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let ended = command::run_reading(&mut test, |line| {
        tally += Tally::of_cargo(line).unwrap_or_default();
    });
    match ended {
        Err(message) if tally.failed == 0 => {
            println!("{message}");
            tally += Tally::FAIL;
        }
        Ok(()) if tally == Tally::default() => return Err("no test ran".to_owned()),
        _ => {}
    }
    Ok(tally)
}

fn python(stages: &mut Stages, servers: Option<&Servers>, selection: &Selection) {
    let found = if selection.all_interpreters { Interpreter::all() } else { Interpreter::ends() };
    let interpreters = match found {
        Ok(interpreters) => interpreters,
        Err(message) => return stages.run("interpreters", || Err(message)),
    };
    let newest = interpreters.last().map(Interpreter::version).unwrap_or_default();
    for interpreter in &interpreters {
        let version = interpreter.version();
        let mut built = false;
        stages.run(&format!("extension for {version}"), || {
            extension::build(interpreter, Profile::Test)?;
            built = true;
            Ok(())
        });
        stages.count(&format!("python {version}"), || {
            // The tests would run, and pass, with the extension of an earlier build.
            if !built {
                return Err("not built".into());
            }
            // The model of the protocol is a program of its own: what it finds depends on no interpreter.
            let mut arguments = selection.pytest.clone();
            if arguments.is_empty() && version != newest {
                arguments.extend(["tests", "--ignore=tests/protocol"].map(str::to_owned));
            }
            pytest::run(interpreter, needed(servers)?, &arguments)
        });
    }
    if selection.pytest.is_empty() {
        stages.run("typing", || {
            let newest = Interpreter::newest()?;
            let venv = Venv::ready(&newest, "venv-typing", &["tests/requirements-typing.txt"])?;
            command::run(venv.python().arg("tests/typing/run.py"))
        });
        published(stages, servers);
    }
}

/// How a process ends depends on what the optimizer made of the extension: those tests run on the
/// published build as well.
fn published(stages: &mut Stages, servers: Option<&Servers>) {
    stages.count("published build", || {
        let newest = Interpreter::newest()?;
        extension::build(&newest, Profile::Release)?;
        pytest::run(&newest, needed(servers)?, &["-k".to_owned(), "exit or fork".to_owned()])
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_after_two_dashes_is_for_pytest() {
        let selection = Selection::parse(&["python", "--all-interpreters", "--", "-k", "rust"]);
        let expected = Selection {
            part: Part::Python,
            all_interpreters: true,
            pytest: vec!["-k".to_owned(), "rust".to_owned()],
        };
        assert_eq!(selection, Ok(expected));
    }

    #[test]
    fn the_features_of_a_manifest_are_found() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\ndefault = [\"json\"]\n# JSON = it.\n\
                        json = []\nmsgpack = [\"dep:y\"]\n\n[dependencies]\ny = \"1\"\n";
        assert_eq!(choices(manifest).collect::<Vec<_>>(), ["json", "msgpack"]);
        assert_eq!(choices("[package]\n").count(), 0);
    }

    #[test]
    fn a_word_that_means_nothing_is_named() {
        assert_eq!(Selection::parse(&["rest"]), Err("rest".to_owned()));
        assert_eq!(Selection::parse(&["rust", "python"]), Err("python".to_owned()));
        assert_eq!(Selection::parse(&["rust", "--", "-k"]), Err("--".to_owned()));
        assert_eq!(Selection::parse(&[]), Ok(Selection::default()));
    }
}
