"""Checks the types of the package with two checkers, and its stubs against what is compiled.

    python tests/typing/run.py

Needs what ``tests/requirements-typing.txt`` names, and the extension built for this interpreter.

``accepted``  must pass both checkers; what its lines assert is checked by them.
``refused``   each line that ends with ``# error`` must be refused by both, and no other line.
``limits``    what a checker gets wrong: ``# error: mypy`` and ``# error: pyright`` name it, so
              that we notice when it learns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDERS = ("accepted", "refused", "limits")

#: The oldest Python that each checker still knows, down to the oldest that we support.
MYPY = (
    "--config-file=",
    "--strict",
    "--python-version=3.10",
    "--explicit-package-bases",
    "--cache-dir=target/mypy-tests",
)
PYRIGHT = ("--pythonpath", sys.executable)

#: The errors of a checker, by file and line.
Errors = dict[tuple[Path, int], list[str]]


class Broken(Exception):
    """A checker did not come to an end."""


def python(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a module of this environment, with the package in reach and nothing fetched."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "python"),
        # Its own Node.js is installed beside it; nor does it ask for its newest version.
        "PYRIGHT_PYTHON_GLOBAL_NODE": "0",
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def mypy(files: list[Path]) -> Errors:
    """What mypy has to say about the files."""
    ended = python("mypy", *MYPY, "--output=json", *files)
    if ended.returncode not in {0, 1}:
        raise Broken(ended.stdout + ended.stderr)
    errors: Errors = defaultdict(list)
    for line in ended.stdout.splitlines():
        if line.startswith("{"):
            found = json.loads(line)
            if found["severity"] == "error":
                errors[ROOT / found["file"], found["line"]].append(found["message"])
    return errors


def pyright(_: list[Path]) -> Errors:
    """What pyright has to say about the files, which its own configuration names."""
    errors: Errors = defaultdict(list)
    for found in pyright_json("--project", HERE)["generalDiagnostics"]:
        if found["severity"] == "error":
            place = Path(found["file"]).resolve(), found["range"]["start"]["line"] + 1
            errors[place].append(found["message"].splitlines()[0])
    return errors


def pyright_json(*words: str | Path) -> Any:
    """The report of pyright."""
    ended = python("pyright", *PYRIGHT, "--outputjson", *words)
    try:
        return json.loads(ended.stdout)
    except ValueError:
        raise Broken(ended.stdout + ended.stderr) from None


CHECKERS = {"mypy": mypy, "pyright": pyright}


def wrong_lines(file: Path, checker: str, errors: Errors) -> Iterator[str]:
    """The lines of a file on which a checker and the marks disagree."""
    marks = ["# error"] if file.parent.name != "accepted" else []
    if file.parent.name == "limits":
        marks.append(f"# error: {checker}")
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        found = errors.get((file, number), [])
        marked = line.endswith(tuple(marks))
        if marked and not found:
            yield f"line {number}: no error: {line.strip()}"
        elif found and not marked:
            yield from (f"line {number}: {message}" for message in found)


def checks() -> Iterator[tuple[str, list[str]]]:
    """Each check: its name, and what is wrong."""
    ended = python("mypy", "--strict", "--no-error-summary", "python/cachine")
    yield "mypy --strict: the package", (ended.stdout + ended.stderr).splitlines()

    report = pyright_json("--verifytypes", "cachine", "--ignoreexternal")["typeCompleteness"]
    yield "pyright --verifytypes: the package", sorted(
        f"{symbol['name']}: {found['message'].splitlines()[0]}"
        for symbol in report["symbols"]
        for found in symbol["diagnostics"]
        if found["severity"] == "error"
    )

    allowed = HERE / "stubtest-allow.txt"
    ended = python("mypy.stubtest", "cachine", "--concise", "--allowlist", allowed)
    wrong = ended.stdout + ended.stderr if ended.returncode else ""
    yield "stubtest: the package and its compiled part", wrong.splitlines()

    files = [file for folder in FOLDERS for file in sorted((HERE / folder).glob("*.py"))]
    for name, checker in CHECKERS.items():
        errors = checker(files)
        for file in files:
            title = f"{name} --strict: {file.parent.name}/{file.name}"
            yield title, list(wrong_lines(file, name, errors))


def main() -> int:
    """Run every check, print a line for each."""
    passed = failed = 0
    try:
        for name, wrong in checks():
            print("FAILED" if wrong else "passed", name, flush=True)
            for line in wrong:
                print(f"    {line}")
            failed += bool(wrong)
            passed += not wrong
    except Broken as error:
        print(f"FAILED a checker broke off\n{error}")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
