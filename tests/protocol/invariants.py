"""What must hold: notes beside the server that no client can see, and the checks against them.

1. What was made before an invalidation began is neither readable nor returned once that has
   returned.
2. A fill never overwrites an explicit write that came after its computation began; a sum overwrites
   only what it was made of.
3. An undisturbed fill or write is readable afterwards; an invalidation frees nothing that is valid.
4. With singleflight no two computations at a time, unless a token was lost, somebody ran out of
   patience, or what they waited for has failed; none at all while a fresh value stands, or an
   ending says that there is nothing.
5. No entry is counted twice; the count is exact when nobody disturbs it.
6. If only waiters are left, a lease that will end is what they wait for.
7. 1 to 4 hold whatever key vanishes at whatever step.
8. An ending is for those who waited for it, and those who joined them in their process: nobody else
   is given its result, and none of them waits for who took it over.
"""

from collections import namedtuple

from .records import ALONE, ENTRY, EPOCH, NOTHING, STAMP, TOKEN, ending_of, is_bare, owner

#: What the operation of a client has to do with the invariants.
Actor = namedtuple(
    "Actor",
    # Where it is: operations done, the place, the replies to a part of a batch, a late script.
    "done place replies late is_crashed "
    # When it began: the version of the source and the floors; what had come to nothing.
    "base nothings "
    # Undisturbed until now; the entries an invalidation should count then.
    "is_alone expected "
    # The key it computes and the token for it; the key that it has computed; was that overwritten?
    "computing computed is_overtaken "
    # The token it has waited for last; has it run out of patience?
    "waited is_impatient",
)
#: A client between two operations.
IDLE = Actor(0, None, (), None, False, None, (), False, None, None, None, False, None, False)

#: What happened. ``source`` is the version of what is computed from; ``floors`` that of the last
#: invalidation of each key and tag that has returned; ``returned`` the writes and their versions.
#: ``lost`` are tokens that were taken away, ``nothings`` the calls whose computation came to
#: nothing, ``failed`` the tokens of those that failed, ``heirs`` those that took an ending over,
#: with it, ``flights`` whom later callers may join.
Notes = namedtuple(
    "Notes", "source floors returned lost counted is_index_lost nothings failed heirs flights"
)
START = Notes(0, (0, 0, 0, 0), (), (), (), False, (), (), (), ())
NEVER = 10**9


class Violation(Exception):
    """An invariant is broken: its number, and what happened."""


def require(is_fine, number, text):
    """Raise unless an invariant holds."""
    if not is_fine:
        raise Violation(number, text)


def readable(store, k):
    """The frame that a read accepts which nobody disturbs."""
    frame = store[ENTRY[k]]
    if frame is None:
        return None
    for tag, stamp in frame.stamps:
        if store[STAMP[tag]] != stamp:
            return None
    return frame


def is_stale(notes, k, value, floors):
    """Whether it was made before an invalidation that had returned when the floors were noted."""
    if _time(notes, value.since) < floors[k]:
        return True
    return any(_time(notes, since) < floors[2 + tag] for tag, since in value.tags)


def _time(notes, since):
    is_write, number = since
    if not is_write:
        return number
    for write, version in notes.returned:
        if write == number:
            return version
    return NEVER


def check_readable(store, notes, keys):
    """1, for whatever stands in the server."""
    for k in keys:
        frame = store[ENTRY[k]]
        if frame is not None and is_stale(notes, k, frame.value, notes.floors):
            fine = readable(store, k) is None
            require(fine, 1, "a value from before an invalidation that has returned is readable")


# A command of the server.

#: What takes a token away lawfully, so that who has it is no longer alone.
_TAKING = frozenset(["remove", "write", "count", "replace", "unlink"])


def before_command(world, c, command):
    """What must hold before a command is done."""
    if command[0] == "store":
        stands = command[2] in ("any", world.store[command[1][0]])
        fine = not (stands and world.clients[c].is_overtaken)
        require(fine, 2, "a fill overwrote a write that came after its computation began")
    elif command[0] == "free":
        k, (tag, stamp) = command[1][0], command[2:]
        frame = world.store[k]
        if frame is not None and (stamp == "any" or (tag, stamp) in frame.stamps):
            fine = readable(world.store, k) is None
            require(fine, 3, "an invalidation freed an entry that was valid")
    elif command[0] == "replace" and command[4:] == (False,):
        fine = world.store[command[1][1]] == command[2]
        require(fine, 2, "a sum overwrote what it was not made of")


def after_command(world, c, command, reply, tokens):
    """Note what a command has done; ``tokens`` are those of before."""
    name = command[0]
    if name in _TAKING:
        for token, key in zip(tokens, TOKEN):
            if token is not None and world.store[key] is None:
                lose(world, token)
    if name in ("write", "write_alone", "count", "replace") and _has_written(name, reply):
        k = command[1][-1]
        for other, actor in enumerate(world.clients):
            if actor.computed == k and not actor.is_overtaken:
                world.clients[other] = actor._replace(is_overtaken=True)
    elif name == "store" and reply and command[2] != "any" and owner(command[2]) != c:
        lose(world, command[2])  # Adopted: its owner can't store any more.
    elif name == "end" and reply:
        _note_ending(world, command[3].ending)
    elif name == "take_over" and reply:
        ending = ending_of(tokens[TOKEN.index(command[1][0])])
        if ending is not None:
            heirs = (*world.notes.heirs, (command[3], ending))
            world.notes = world.notes._replace(heirs=heirs)


def _has_written(name, reply):
    return reply is None if name == "count" else reply != 0


def lose(world, token):
    """A token went that nobody gave back."""
    if not is_bare(token):
        lost = world.notes.lost
        world.notes = world.notes._replace(lost=tuple(sorted({*lost, token}, key=repr)))


def _note_ending(world, ending):
    """A computation has ended without a value to store."""
    notes = world.notes
    if ending.kind == NOTHING:
        world.notes = notes._replace(nothings=(*notes.nothings, ending.value.number))
    else:
        world.notes = notes._replace(failed=tuple(sorted((*notes.failed, ending.of), key=repr)))


def _is_excused(world, actor):
    """Whether it may compute beside others: out of patience, or what it waited for has failed."""
    return actor.is_impatient or actor.waited in world.notes.failed


def note_wait(world, c, token):
    """8: nobody waits for who has taken over the ending that it waited for before."""
    actor = world.clients[c]
    for heir, ending in world.notes.heirs:
        if heir == token and actor.waited is not None and ending.of == actor.waited:
            says_so = ending.kind == ALONE or _is_current(world, ending)
            require(not says_so, 8, "a waiter waits for who took over what it had waited for")
    world.clients[c] = actor._replace(waited=token)


def _is_current(world, ending):
    """Whether nothing was invalidated since the claim of a computation that has ended."""
    stamps, epoch = ending.digest
    if any(world.store[STAMP[tag]] != stamp for tag, stamp in stamps):
        return False
    return epoch is None or epoch == world.store[EPOCH]


# A step inside a client.


def compute(world, c, k, token, is_own, is_forced):
    """4: whether a computation may begin; the version of its source."""
    store, notes, actor = world.store, world.notes, world.clients[c]
    is_alone = world.config.singleflight and not _is_excused(world, actor)
    for other in world.clients if is_alone else ():
        if other.computing is not None and other.computing[0] == k:
            is_lost = token in notes.lost or other.computing[1] in notes.lost
            fine = is_lost or _is_excused(world, other)
            require(fine, 4, "two computations at a time")
    stands = is_own and store[TOKEN[k]] == token
    frame = readable(store, k)
    if stands and not is_forced and frame is not None and frame.age and not frame.is_long:
        raise Violation(4, "a computation although a fresh value stands")
    ending = ending_of(store[TOKEN[k]])
    waits = not actor.is_impatient and ending is not None and ending.of == actor.waited
    if waits and ending.kind == NOTHING:
        fine = not _is_current(world, ending)
        require(fine, 4, "a computation although the one that it waited for came to nothing")
    computing = (k, token) if is_alone else None
    world.clients[c] = actor._replace(computing=computing, computed=k, is_overtaken=False)
    return notes.source


def answer(world, c, k, value):
    """1, for a stale value that the caller gets before its refresh."""
    fine = not is_stale(world.notes, k, value, world.clients[c].base[1])
    require(fine, 1, "a stale hit from before an invalidation that had returned")


# An operation.


def begin(world, c, operation):
    """Note what an operation may not return, or what it invalidates."""
    notes, actor = world.notes, world.clients[c]
    verb = operation[0]
    is_alone = all(other.place is None for other in world.clients)
    if verb not in ("call", "join", "expire", "tag", "refresh"):
        notes = world.notes = notes._replace(source=notes.source + 1)
    expected = None
    if verb == "invalidate" and is_alone:
        frames = [readable(world.store, k) for k in world.config.keys]
        tags = set(operation[1])
        expected = sum(1 for f in frames if f and any(t in tags for t, _ in f.stamps))
    world.clients[c] = actor._replace(
        base=(notes.source, notes.floors), nothings=notes.nothings, is_alone=is_alone,
        expected=expected,
    )  # fmt: skip


def finish(world, c, operation, result):
    """Check and note what an operation returns."""
    verb, actor = operation[0], world.clients[c]
    base, floors = actor.base
    if verb in ("call", "join", "refresh") and result is not None:
        _check_call(world, c, operation, result)
    elif verb == "set":
        _note_write(world, actor, operation[1], result)
    elif verb == "incr":
        value, counted_from = result
        fine = counted_from is None or not is_stale(
            world.notes, operation[1], counted_from, floors
        )
        require(fine, 1, "a sum was made of what had been invalidated")
        _note_write(world, actor, operation[1], value)
    elif verb == "invalidate":
        _check_count(world, actor, result)
    for place in _touched(verb, operation):
        floors = list(world.notes.floors)
        floors[place] = max(floors[place], base)
        world.notes = world.notes._replace(floors=tuple(floors))


def _touched(verb, operation):
    """The places of the floors that an operation raises when it returns."""
    if verb == "clear":
        return range(4)
    if verb == "invalidate":
        return [2 + tag for tag in operation[1]]
    return [operation[1]] if verb in ("set", "incr", "delete") else []


def _check_call(world, c, operation, value):
    actor, k = world.clients[c], operation[1]
    fine = not is_stale(world.notes, k, value, actor.base[1])
    require(fine, 1, "a call returned a value from before an invalidation that had returned")
    fine = c in world.config.process or value.number not in actor.nothings
    require(fine, 8, "a call was given what came to nothing before it began")
    if actor.computed is not None and actor.is_alone and operation[-1] != "nothing":
        _check_stands(world, k, value)


def _note_write(world, actor, k, value):
    returned = (*world.notes.returned, (value.number, world.notes.source))
    world.notes = world.notes._replace(returned=tuple(sorted(returned)))
    if actor.is_alone:
        _check_stands(world, k, value)


def _check_stands(world, k, value):
    frame = readable(world.store, k)
    fine = frame is not None and frame.value == value
    require(fine, 3, "an undisturbed fill or write is not readable")


def _check_count(world, actor, numbers):
    counted = world.notes.counted
    fine = len({*numbers, *counted}) == len(numbers) + len(counted)
    require(fine, 5, "an entry was counted twice")
    if actor.is_alone and not world.notes.is_index_lost:
        fine = len(numbers) == actor.expected
        require(fine, 5, f"counted {len(numbers)} of {actor.expected} entries")
    world.notes = world.notes._replace(counted=tuple(sorted((*counted, *numbers))))
