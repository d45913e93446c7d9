"""A scenario as something to explore: its states, the moves from each, and what a move does.

An operation begins with its first command and returns with its last: the strictest choice.
"""

from collections import namedtuple

from . import invariants, server
from .invariants import IDLE, START
from .places import Places
from .records import ENTRY, INDEX, PENDING, TIMEOUT, TOKEN, call_number, is_bare, owner
from .scenarios import TROUBLES
from .tags import Protocol

#: The callers of one process that wait for one of them.
Flight = namedtuple("Flight", "number leader is_sealed")


class World:
    """A state that is being changed."""

    __slots__ = ("budget", "clients", "config", "notes", "store")

    def __init__(self, config, state):
        store, clients, self.notes, self.budget = state
        self.config = config
        self.store, self.clients = list(store), list(clients)

    def frozen(self):
        """The state, to be compared and kept."""
        return tuple(self.store), tuple(self.clients), self.notes, self.budget


class Run:
    """One scenario, with the protocol or a damaged one."""

    def __init__(self, scenario, protocol=Protocol):
        self.config = scenario.config
        #: Of each client; the last one does what was done before.
        self.programs = (*scenario.programs, scenario.setup)
        self.places = Places(protocol, scenario.config)
        self.has_endless_leases = getattr(protocol, "HAS_ENDLESS_LEASES", False)
        self._inside = {
            "compute": invariants.compute, "answer": invariants.answer, "board": self._board,
            "seal": self._seal, "parties": self._parties, "land": self._land,
        }  # fmt: skip
        clients = (IDLE,) * len(self.programs)
        world = World(self.config, ((None,) * 9, clients, START, (0,) * len(TROUBLES)))
        last = len(self.programs) - 1
        while world.clients[last].done < len(scenario.setup):
            self._apply(world, ("step", last, self._open(world, last)[0]))
        world.budget = tuple(scenario.budget.get(name, 0) for name in TROUBLES)
        #: Where everything begins.
        self.initial = world.frozen()

    # Moves.

    def moves(self, state):
        """What may happen next: steps of clients first, then trouble."""
        world = World(self.config, state)
        steps, troubles = [], []
        crash, drop, _, _, giveup, forget = world.budget
        for c, actor in enumerate(world.clients):
            if crash and actor.place is not None:
                troubles.append(("crash", c))
            place = self._place(world, c)
            if place is None:
                continue
            if self._is_waiting(world, place):
                if giveup and place.commands[0][0] == "take":
                    troubles.append(("giveup", c))
                continue
            steps += [("step", c, i) for i in self._open(world, c)]
            if forget and place.scripts and not actor.replies:
                troubles += [("forget", c, name) for name in place.scripts]
        if not steps and any(actor.place is not None for actor in world.clients):
            steps = self._leases(world)
            text = "waiters wait for a lease that nobody holds and that does not end"
            invariants.require(steps, 6, text)
        if drop:
            present = [key for key, value in enumerate(world.store) if value is not None]
            troubles += [("drop", key) for key in present]
        return steps + self._passing(world) + troubles

    def command(self, state, c, i):
        """The command of a client's batch that a step does."""
        return self._place(World(self.config, state), c).commands[i]

    def _place(self, world, c):
        """Where a client stands, its next operation begun or not."""
        actor = world.clients[c]
        if actor.place is not None:
            return self.places.all[actor.place]
        if actor.is_crashed or actor.done >= len(self.programs[c]):
            return None
        operation = self.programs[c][actor.done]
        return self.places.all[self.places.first(operation, call_number(c, actor.done)).place]

    def _open(self, world, c):
        """The commands of a client's batch that may be done next: the first of each slot."""
        place, actor = self._place(world, c), world.clients[c]
        if len(place.commands) == 1:
            return (0,)
        replies = actor.replies or (PENDING,) * len(place.commands)
        seen, late, found = set(), [], []
        for i, slot in enumerate(place.slots):
            if replies[i] != PENDING:
                continue
            if place.commands[i][0] == actor.late:
                late.append(i)
            elif slot not in seen:
                seen.add(slot)
                found.append(i)
        return found or late[:1]

    def _is_waiting(self, world, place):
        """Whether a step has to wait for somebody else."""
        command = place.commands[0]
        if command[0] == "take":
            return command[3] is not None and world.store[command[1][0]] == command[3]
        return command[0] == "landing"

    def _leases(self, world):
        """The leases that end because nobody renews them."""
        if self.has_endless_leases:
            return []
        tokens = [(key, world.store[key]) for key in TOKEN if world.store[key] is not None]
        return [
            ("lease", key)
            for key, token in tokens
            if is_bare(token) or world.clients[owner(token)].is_crashed
        ]

    def _passing(self, world):
        """Time that passes: an entry becomes stale; everything expires that has no longer life.

        The latter not while a write is under way: the records of an entry outlive it by more than
        the longest write takes (A8).
        """
        moves = []
        _, _, age, time, _, _ = world.budget
        if age:
            for k in self.config.keys:
                if server.age(world.store[ENTRY[k]]) != world.store[ENTRY[k]]:
                    moves.append(("age", k))
        if time and all(self._may_take_long(c, actor) for c, actor in enumerate(world.clients)):
            moves.append(("time",))
        return moves

    def _may_take_long(self, c, actor):
        if actor.place is None:
            return True
        return self.places.all[actor.place].operation[0] in ("expire", "tag", "invalidate")

    # What a move does.

    def apply(self, state, move):
        """The state after a move; raises ``Violation`` if it breaks something."""
        world = World(self.config, state)
        self._apply(world, move)
        invariants.check_readable(world.store, world.notes, self.config.keys)
        return world.frozen()

    def _apply(self, world, move):
        kind = move[0]
        for c, actor in enumerate(world.clients):
            if actor.is_alone and not (kind == "step" and move[1] == c):
                world.clients[c] = actor._replace(is_alone=False)
        if kind in TROUBLES:
            budget = list(world.budget)
            budget[TROUBLES.index(kind)] -= 1
            world.budget = tuple(budget)
        if kind == "step":
            self._step(world, move[1], move[2])
        elif kind == "crash":
            self._crash(world, move[1])
        elif kind in ("drop", "lease"):
            self._drop(world, move[1])
        elif kind == "age":
            world.store[ENTRY[move[1]]] = server.age(world.store[ENTRY[move[1]]])
        elif kind == "time":
            server.pass_time(world.store, ENTRY, INDEX)
        elif kind == "giveup":
            actor = world.clients[move[1]]
            world.clients[move[1]] = actor._replace(is_impatient=True)
            self._resume(world, move[1], TIMEOUT)
        elif kind == "forget":
            self._begin(world, move[1])
            world.clients[move[1]] = world.clients[move[1]]._replace(late=move[2])

    def _crash(self, world, c):
        self._land(world, c, None)  # Torn away, or cancelled: the process lives on.
        done = len(self.programs[c])
        world.clients[c] = IDLE._replace(done=done, is_crashed=True)

    def _drop(self, world, key):
        if key in TOKEN:
            invariants.lose(world, world.store[key])
        if key in INDEX:
            world.notes = world.notes._replace(is_index_lost=True)
        world.store[key] = None

    def _begin(self, world, c):
        actor = world.clients[c]
        if actor.place is None:
            operation = self.programs[c][actor.done]
            place = self.places.first(operation, call_number(c, actor.done)).place
            invariants.begin(world, c, operation)
            world.clients[c] = world.clients[c]._replace(place=place)

    def _step(self, world, c, i):
        self._begin(world, c)
        actor = world.clients[c]
        if actor.computing is not None:
            actor = world.clients[c] = actor._replace(computing=None)
        place = self.places.all[actor.place]
        command = place.commands[i]
        reply = self._execute(world, c, command, actor.late)
        if len(place.commands) == 1:
            self._resume(world, c, (reply,))
            return
        replies = list(actor.replies or (PENDING,) * len(place.commands))
        replies[i] = reply
        if PENDING in replies:
            world.clients[c] = world.clients[c]._replace(replies=tuple(replies))
        else:
            self._resume(world, c, tuple(replies))

    def _execute(self, world, c, command, late):
        inside = self._inside.get(command[0])
        if inside is not None:
            return inside(world, c, *command[2:])
        invariants.before_command(world, c, command)
        tokens = [world.store[key] for key in TOKEN]
        reply = server.execute(world.store, command)
        invariants.after_command(world, c, command, reply, tokens)
        return 2 * reply if command[0] == "store" == late else reply

    def _resume(self, world, c, replies):
        actor = world.clients[c]
        place, result = self.places.next(actor.place, replies)
        if place is None:
            operation = self.programs[c][actor.done]
            invariants.finish(world, c, operation, result)
            world.clients[c] = IDLE._replace(done=actor.done + 1)
            return
        world.clients[c] = actor._replace(place=place, replies=(), late=None)
        command = self.places.all[place].commands[0]
        if command[0] == "take" and command[3] is not None:
            invariants.note_wait(world, c, command[3])

    # Inside a client.

    def _board(self, world, c, _k):
        """The flight to wait for; none for who leads one from now on."""
        for flight in world.notes.flights:
            if not flight.is_sealed:
                return flight.number
        number = call_number(c, world.clients[c].done)
        flights = (*world.notes.flights, Flight(number, c, False))
        world.notes = world.notes._replace(flights=tuple(sorted(flights)))
        return None

    def _seal(self, world, c):
        """Nobody joins any more."""
        flights = (f._replace(is_sealed=f.is_sealed or f.leader == c) for f in world.notes.flights)
        world.notes = world.notes._replace(flights=tuple(flights))

    def _parties(self, world, c):
        """Whether somebody waits for the flight that a client leads."""
        return any(self._passengers(world, f) for f in world.notes.flights if f.leader == c)

    def _land(self, world, c, shared):
        """The flight that a client leads is over: those who wait are told at once."""
        for flight in world.notes.flights:
            if flight.leader == c:
                flights = tuple(f for f in world.notes.flights if f != flight)
                waiting = self._passengers(world, flight)
                world.notes = world.notes._replace(flights=flights)
                for passenger in waiting:
                    self._resume(world, passenger, (shared,))

    def _passengers(self, world, flight):
        waited = ("landing", (), flight.number)
        places = self.places.all
        return [
            c
            for c, actor in enumerate(world.clients)
            if actor.place is not None and places[actor.place].commands[0] == waited
        ]
