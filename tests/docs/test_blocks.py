"""Every block of Python in the README and the documentation runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> str:
    """The blocks of a page, one after the other, with their lines where they are on the page."""
    text = page.read_text(encoding="utf-8")
    code = [""] * text.count("\n")
    for found in BLOCK.finditer(text):
        first = text.count("\n", 0, found.start(1))
        lines = found.group(1).splitlines()
        code[first : first + len(lines)] = lines
    return "\n".join(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, redis_server: Any
) -> None:
    # The server of a reader listens where servers do; that of the tests on a port that was free.
    redis_server.command("FLUSHALL")
    code = blocks(page).replace('host="localhost"', f'host="127.0.0.1", port={redis_server.port}')
    program = tmp_path / f"{page.stem.lower()}.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
