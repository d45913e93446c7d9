"""Whether a stub names what its compiled module has, no less and no more.

Usage: drift.py python/cachine/_core.pyi, with the built package on PYTHONPATH. Only names are
compared: that their types are right is for the type checkers, whose tests use every one of them.
"""

from __future__ import annotations

import ast
import importlib
import pathlib
import sys
from types import ModuleType
from typing import Iterable, Iterator


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements of a block, those under ``if sys.version_info`` included."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from statements([*statement.body, *statement.orelse])
        else:
            yield statement


def stubbed(module: ast.Module) -> Iterator[str]:
    """The public names that a stub declares: ``Memory``, ``Memory.get``.

    What a class inherits from a private one of the stub is its own: such a base is there for the
    type checkers only.
    """
    classes = {each.name: each for each in module.body if isinstance(each, ast.ClassDef)}

    def names_in(body: Iterable[ast.stmt], prefix: str) -> Iterator[str]:
        for statement in statements(body):
            for name in filter(is_public, declared_by(statement)):
                yield prefix + name
                if isinstance(statement, ast.ClassDef):
                    bases = [ast.unparse(base).partition("[")[0] for base in statement.bases]
                    inherited = [classes[base] for base in bases if base in classes]
                    for each in (statement, *inherited):
                        yield from names_in(each.body, f"{prefix}{name}.")

    yield from names_in(module.body, "")


def declared_by(statement: ast.stmt) -> list[str]:
    """The names that one statement declares."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.AnnAssign):
        return [ast.unparse(statement.target)]
    if isinstance(statement, ast.Assign):
        return [ast.unparse(target) for target in statement.targets]
    return []


def built(owner: ModuleType | type, prefix: str = "") -> Iterator[str]:
    """The public names that the module really has."""
    for name, value in vars(owner).items():
        if is_public(name):
            yield prefix + name
            # Some say the module that people import them from.
            if isinstance(value, type) and value.__module__.partition(".")[0] == "cachine":
                yield from built(value, f"{prefix}{name}.")


def is_public(name: str) -> bool:
    return not name.startswith("_")


def main(stub: str) -> int:
    """Print the differences; 1 if there are any."""
    declared = set(stubbed(ast.parse(pathlib.Path(stub).read_text("utf-8"))))
    real = set(built(importlib.import_module("cachine._core")))
    for name in sorted(real - declared):
        print(f"{stub}: {name} is missing")
    for name in sorted(declared - real):
        print(f"{stub}: {name} is not in the module")
    return int(declared != real)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
