"""Tells what happened on a way, in words."""

from .records import NAMES


def told(run, path):
    """A line for each move of a way."""
    lines, state = [], run.initial
    for move in path:
        lines.append(_line(run, state, move))
        try:
            state = run.apply(state, move)
        except Exception as error:  # The last move breaks something.
            lines.append(f"    -> {error}")
    return lines


def _line(run, state, move):
    kind, rest = move[0], move[1:]
    if kind in ("drop", "lease"):
        return f"{kind}: {NAMES[rest[0]]}"
    if kind != "step":
        return f"{kind}: {' '.join(map(str, rest))}"
    command = run.command(state, *rest)
    keys = ", ".join(NAMES[key] for key in command[1])
    arguments = " ".join(str(each) for each in command[2:])
    return f"client {rest[0]}: {command[0]} {keys} {arguments}"
