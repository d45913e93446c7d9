"""Where an operation stands: generators as numbers, so that they can be part of a state.

A generator can't be copied or compared. So it is run anew from its beginning, with the replies
that it was given, whenever it is to go on from a place for the first time; the outcome is
remembered. Two histories are one place if the same code waits with the same local variables. What
is not in a local variable between two batches (an iterator that is half used up, half of an
expression) would escape the comparison: :meth:`Places.differing` finds such code.
"""

from collections import namedtuple

from . import server

#: A place: what is done, the replies until now, what is sent next, and in which order.
Place = namedtuple("Place", "operation number history commands slots scripts")
#: Where an operation goes from a place: to another one, or (``None``) to its end with a result.
Way = namedtuple("Way", "place result")

#: Operations that run inside the client, or wait.
_FREE = object()


class Places:
    """All places of the operations of one scenario."""

    def __init__(self, protocol, config):
        self._begin = lambda operation, number: _begin(protocol(config, number), operation)
        self._is_cluster = config.is_cluster
        self._numbers = {}
        self._ways = {}
        self._beginnings = {}
        self._twins = []
        #: The places, by their number.
        self.all = []

    def first(self, operation, number):
        """The place where an operation begins."""
        key = (operation, number)
        way = self._beginnings.get(key)
        if way is None:
            way = self._beginnings[key] = self._find(operation, number, ())
        return way

    def next(self, place, replies):
        """Where an operation goes with these replies."""
        key = (place, replies)
        way = self._ways.get(key)
        if way is None:
            here = self.all[place]
            history = (*here.history, replies)
            way = self._ways[key] = self._find(here.operation, here.number, history)
        return way

    def _find(self, operation, number, history):
        generator, batch = self._begin(operation, number), None
        try:
            for replies in (None, *history):
                batch = generator.send(replies)
        except StopIteration as end:
            return Way(None, end.value)
        while batch == ():  # Nothing to send: nothing to wait for.
            history = (*history, ())
            try:
                batch = generator.send(())
            except StopIteration as end:
                return Way(None, end.value)
        key = (operation, number, repr(_standing(generator)))
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self.all)
            self.all.append(self._place(operation, number, history, batch))
        elif self.all[known].history != history:
            self._twins.append((known, history))
        return Way(known, None)

    def _place(self, operation, number, history, batch):
        if batch[0] == "scan":
            commands = batch[1:]
            slots = tuple(range(len(commands)))  # In any order.
        else:
            commands = batch
            slots = tuple(server.slot(command) if self._is_cluster else 0 for command in commands)
        for command in commands:
            server.slot(command)
        names = {command[0] for command in commands} & server.SCRIPTS
        scripts = tuple(sorted(names)) if len(commands) > 1 else ()
        return Place(operation, number, history, commands, slots, scripts)

    def differing(self):
        """Histories taken for one place that go on in different ways: none, if all is well."""
        ways = {}
        for (place, replies), way in self._ways.items():
            ways.setdefault(place, []).append((replies, way))
        for place, history in list(self._twins):
            here = self.all[place]
            for replies, way in ways.get(place, ()):
                if self._find(here.operation, here.number, (*history, replies)) != way:
                    yield here.operation, history, here.history, replies


def _begin(protocol, operation):
    return getattr(protocol, operation[0])(*operation[1:])


def _standing(generator):
    """The code that waits, from the outermost generator to the innermost, with its variables."""
    standing = []
    while generator is not None:
        frame = generator.gi_frame
        variables = sorted((k, v) for k, v in frame.f_locals.items() if k != "self")
        standing.append((generator.gi_code.co_name, frame.f_lasti, variables))
        generator = generator.gi_yieldfrom
    return standing
