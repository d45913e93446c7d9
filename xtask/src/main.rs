//! `cargo x`: everything that is done with this repository, one word each.
//!
//! It stands on the standard library alone, so the first command in a fresh clone starts within
//! seconds and asks for no tool but cargo and python3.

#![allow(
    clippy::disallowed_methods,
    reason = "a program of our own, not the library: it may read the clock and the environment"
)]

mod apt;
mod bench;
mod check;
mod command;
mod demo;
mod dependencies;
mod extension;
mod interpreters;
mod markdown;
mod pytest;
mod servers;
mod source;
mod stage;
mod suite;
mod tally;
mod tree;
mod venv;

use std::env;
use std::process::ExitCode;

use crate::command::Outcome;
use crate::servers::Servers;
use crate::suite::Selection;

const HELP: &str = "\
cargo x demo                      build for the python3 at hand and run the quickstart, in Python and in Rust
cargo x test                      everything a change must pass: the checks, then Rust, then Python
cargo x test rust                 only Rust: tests, model checker, documentation
cargo x test python [-- ARGS]     only Python; ARGS go to pytest, which then runs alone
cargo x test --all-interpreters   on every CPython found, not only on the oldest and the newest
cargo x check                     the fast part: format, lints, dependencies, sizes, names, heads, links, stub
cargo x servers                   find or get what the tests start, Redis and openssl, and say where it is
cargo x bench [ARGS]              the hit path beside functools, cachetools and cachebox; ARGS go to benches/hit.py
cargo x help                      this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] => exit(demo::run()),
        ["test", rest @ ..] => match Selection::parse(rest) {
            Ok(selection) => suite::run(&selection),
            Err(word) => misunderstood(&word),
        },
        ["check"] => check::run(),
        ["servers"] => exit(Servers::ready().map(|servers| print!("{}", servers.lines()))),
        ["bench", rest @ ..] => exit(bench::run(rest)),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        ["demo" | "check" | "servers", word, ..] | [word, ..] => misunderstood(word),
    }
}

fn exit(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn misunderstood(word: &str) -> ExitCode {
    eprint!("cargo x does not know `{word}`. It knows:\n\n{HELP}");
    ExitCode::from(2)
}
