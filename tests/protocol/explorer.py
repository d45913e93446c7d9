"""Runs every order of events, or random ones, of anything that has states and moves.

What is explored has ``initial``, ``moves(state)`` and ``apply(state, move)``, which raise
:class:`~protocol.invariants.Violation`. States are kept whole, so none is mistaken for another.
"""

from collections import deque, namedtuple

from .invariants import Violation

#: ``found`` maps the number of each broken invariant to what happened and the moves that led there.
Exploration = namedtuple("Exploration", "states transitions found")


def explore(run, is_breadth_first=False, most=None, wanted=frozenset()):
    """Everything that is reachable. Breadth first finds the shortest ways.

    It ends when one of the ``wanted`` invariants is found broken, or after ``most`` states.
    """
    seen, frontier = {run.initial}, deque([(run.initial, None)])
    transitions, found = 0, {}
    moves, apply = run.moves, run.apply
    take = frontier.popleft if is_breadth_first else frontier.pop
    while frontier and wanted.isdisjoint(found) and (most is None or len(seen) < most):
        state, path = take()
        try:
            possible = moves(state)
        except Violation as violation:
            found.setdefault(violation.args[0], (violation.args[1], _way(path)))
            continue
        for move in possible:
            transitions += 1
            try:
                child = apply(state, move)
            except Violation as violation:
                number, text = violation.args
                found.setdefault(number, (text, _way((move, path))))
                continue
            if child not in seen:
                seen.add(child)
                frontier.append((child, (move, path)))
    return Exploration(len(seen), transitions, found)


def walk(run, random, troubles, path, odds=0.08):
    """One random way to the end, with trouble now and then; ``path`` gets its moves."""
    state = run.initial
    while True:
        moves = run.moves(state)
        steps = [move for move in moves if move[0] not in troubles]
        if not steps:
            return
        others = [move for move in moves if move[0] in troubles]
        move = random.choice(others if others and random.random() < odds else steps)
        path.append(move)
        state = run.apply(state, move)


def _way(path):
    moves = []
    while path is not None:
        move, path = path
        moves.append(move)
    return moves[::-1]
