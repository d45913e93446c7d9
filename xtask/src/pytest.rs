//! A run of pytest, with its counts from the report that it writes for machines.
//!
//! A skipped test proves nothing and nobody looks at it again, so it fails the run unless its
//! reason is named here.

use std::fs;
use std::time::Duration;

use crate::command::{self, Outcome};
use crate::interpreters::Interpreter;
use crate::servers::Servers;
use crate::tally::Tally;
use crate::tree;
use crate::venv::Venv;

/// Reasons for which a test may be skipped. Each needs a comment that says why it can't be run.
const ALLOWED_SKIPS: &[&str] = &[];

/// Each test has its own limit; this one is for a hang that holds the interpreter itself.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs the tests of the package on an interpreter.
pub(crate) fn run(
    interpreter: &Interpreter,
    servers: &Servers,
    arguments: &[String],
) -> Outcome<Tally> {
    let version = interpreter.version();
    // The examples are run too.
    let requirements = ["tests/requirements.txt", "examples/requirements.txt"];
    let venv = Venv::ready(interpreter, &format!("venv{version}"), &requirements)?;
    let path = tree::root().join(format!("target/pytest-{version}.xml"));
    // A report of an earlier run must not speak for this one.
    let _ = fs::remove_file(&path);
    let mut pytest = venv.python();
    pytest.args(["-m", "pytest"]).arg("--junit-xml").arg(&path);
    if arguments.is_empty() {
        pytest.arg("tests");
    }
    let ended = command::run_within(servers.told(pytest.args(arguments)), LIMIT);
    let report = fs::read_to_string(&path)
        .map_err(|error| format!("{}\n{}: {error}", problem(&ended), path.display()))?;
    let (mut tally, skips) = read(&report);
    for skip in &skips {
        println!("skipped without leave: {skip}");
    }
    if ended.is_err() && tally.failed == 0 {
        println!("{}", problem(&ended));
        tally += Tally::FAIL;
    }
    Ok(tally)
}

fn problem(ended: &Outcome) -> &str {
    ended.as_ref().err().map_or("pytest wrote no report", String::as_str)
}

/// The counts of a report in the format of `JUnit`, and the tests that were skipped without leave,
/// which count as failed.
fn read(report: &str) -> (Tally, Vec<String>) {
    let mut tally = Tally::default();
    let mut skips = Vec::new();
    let mut test = String::new();
    // In XML a bare `<` begins a tag, wherever it stands.
    for tag in report.split('<') {
        let number =
            |name| attribute(tag, name).and_then(|value| value.parse().ok()).unwrap_or(0_u64);
        if tag.starts_with("testsuite ") {
            let failed = number("failures") + number("errors");
            let without = failed + number("skipped");
            tally.passed += number("tests").saturating_sub(without);
            tally.failed += failed;
        } else if tag.starts_with("testcase ") {
            test = attribute(tag, "name").unwrap_or_default();
        } else if tag.starts_with("skipped ") {
            let reason = attribute(tag, "message").unwrap_or_default();
            if ALLOWED_SKIPS.contains(&reason.as_str()) {
                println!("skipped: {test}: {reason}");
            } else {
                tally += Tally::FAIL;
                skips.push(format!("{test}: {reason}"));
            }
        }
    }
    (tally, skips)
}

/// The value of an attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let plain = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(plain.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_gives_its_counts_and_a_skip_is_a_failure() {
        let report = r#"<?xml version="1.0"?><testsuites name="pytest tests">
            <testsuite name="pytest" errors="1" failures="2" skipped="1" tests="10" time="0.1">
            <testcase classname="tests.test_get" name="test_a" time="0.1" />
            <testcase classname="tests.test_get" name="test_b[&lt;1&gt;]" time="0.1">
            <skipped type="pytest.skip" message="no &quot;fork&quot; here">a.py:1</skipped>
            </testcase></testsuite></testsuites>"#;
        let (tally, skips) = read(report);
        assert_eq!(tally, Tally { passed: 6, failed: 4 });
        assert_eq!(skips, ["test_b[<1>]: no \"fork\" here"]);
    }
}
