//! Programs that are run: shown before they start, and named when they fail.
//!
//! What is shown can be typed as it stands, with the environment that was set for it, so a failed
//! stage is repeated by hand without reading this crate.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tree;

/// What came of something, or a message for the person who asked for it.
pub(crate) type Outcome<T = ()> = Result<T, String>;

const POLL: Duration = Duration::from_millis(50);

/// Cargo, in the root of the repository: the very cargo that started us.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    command
}

/// Any program, in the root of the repository.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(tree::root()).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = start(command)?.wait().map_err(|error| broken(command, &error))?;
    judge(command, status)
}

/// Runs it to its end, or ends it when the time is over: a hang must not outlive the run.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Outcome {
    let mut child = start(command)?;
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| broken(command, &error))? {
            return judge(command, status);
        }
        if begin.elapsed() > limit {
            // It may just have ended by itself; the time is over all the same.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("ended after {} s: {}", limit.as_secs(), line(command)));
        }
        thread::sleep(POLL);
    }
}

/// Runs it to its end and shows each line of its output, after `read` has seen it.
pub(crate) fn run_reading(command: &mut Command, mut read: impl FnMut(&str)) -> Outcome {
    let mut child = start(command.stdout(Stdio::piped()))?;
    if let Some(output) = child.stdout.take() {
        // Bytes, because a test may print what is no text.
        for bytes in BufReader::new(output).split(b'\n') {
            let bytes = bytes.map_err(|error| broken(command, &error))?;
            let text = String::from_utf8_lossy(&bytes);
            read(&text);
            println!("{text}");
        }
    }
    let status = child.wait().map_err(|error| broken(command, &error))?;
    judge(command, status)
}

/// Runs it silently and returns what it printed.
pub(crate) fn capture(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| broken(command, &error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}\n{}", failed(command, output.status), said.trim_end()))
    }
}

fn start(command: &mut Command) -> Outcome<Child> {
    println!("$ {}", line(command));
    command.spawn().map_err(|error| broken(command, &error))
}

fn judge(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

fn failed(command: &Command, status: ExitStatus) -> String {
    format!("failed with {status}: {}", line(command))
}

fn broken(command: &Command, error: &std::io::Error) -> String {
    format!("could not run: {}: {error}", line(command))
}

/// The command as a person types it in the root of the repository.
fn line(command: &Command) -> String {
    let settings = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), word(value?))));
    let is_cargo = env::var_os("CARGO").is_some_and(|cargo| cargo == command.get_program());
    let name = if is_cargo { OsStr::new("cargo") } else { command.get_program() };
    let words = std::iter::once(name).chain(command.get_args()).map(word);
    settings.chain(words).collect::<Vec<_>>().join(" ")
}

/// One word of a command line: short where it lies in the repository, quoted where it must be.
fn word(word: &OsStr) -> String {
    let root = format!("{}/", tree::root().display());
    let text = word.to_string_lossy();
    let text = text.strip_prefix(&root).unwrap_or(&text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let mut command = Command::new("cargo");
        command.env("RUSTFLAGS", "--cfg shuttle").args(["test", "--target-dir"]);
        command.arg(tree::root().join("target/shuttle")).arg("it's");
        let expected =
            r"RUSTFLAGS='--cfg shuttle' cargo test --target-dir target/shuttle 'it'\''s'";
        assert_eq!(line(&command), expected);
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let outcome = run_within(Command::new("sleep").arg("600"), Duration::ZERO);
        assert!(outcome.is_err_and(|message| message.starts_with("ended after 0 s")));
    }
}
