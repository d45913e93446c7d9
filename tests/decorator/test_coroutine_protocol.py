"""Every step of a cached coroutine, driven by hand: send, throw, close and what they refuse."""

from __future__ import annotations

import asyncio

import pytest
from cachine import InMemoryCache, cached


class Wrong(Exception):
    pass


class Yields:
    """Awaiting it yields what it was given, and returns or raises what it is sent."""

    def __init__(self, *steps):
        self.steps = steps

    def __await__(self):
        sent = []
        for step in self.steps:
            sent.append((yield step))
        return sent


@pytest.fixture
def steps():
    @cached(InMemoryCache())
    async def steps(*values):
        try:
            return await Yields(*values)
        except Wrong:
            return "caught"

    return steps


def test_send_drives_it_step_by_step(steps):
    call = steps("one", "two")
    assert call.send(None) == "one"
    assert call.send("first") == "two"
    with pytest.raises(StopIteration) as stopped:
        call.send("second")
    assert stopped.value.value == ["first", "second"]
    with pytest.raises(StopIteration) as stopped:
        steps("one", "two").send(None)
    assert stopped.value.value == ["first", "second"], "a hit ends in its first step"


def test_only_none_can_be_sent_to_begin_with(steps):
    call = steps("one")
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        call.send("early")
    assert call.send(None) == "one"
    call.close()


@pytest.mark.parametrize("result", [(1, 2), ValueError("a value"), StopIteration(3), None, ()])
def test_results_that_look_like_arguments_of_an_exception_arrive_whole(result):
    @cached(InMemoryCache(), cache_none=True)
    async def f():
        await asyncio.sleep(0)
        return result

    async def main():
        assert await f() is result
        assert await f() is result
        with pytest.raises(StopIteration) as stopped:
            f().send(None)
        assert stopped.value.value is result

    asyncio.run(main())


def test_throw_reaches_the_function_where_it_waits(steps):
    call = steps("one")
    assert call.send(None) == "one"
    with pytest.raises(StopIteration) as stopped:
        call.throw(Wrong())
    assert stopped.value.value == "caught"
    call = steps("two")
    call.send(None)
    with pytest.raises(KeyError):
        call.throw(KeyError("mine"))
    with pytest.raises(RuntimeError, match="cannot reuse"):
        call.send(None)


def test_throw_before_the_first_step_raises_and_ends_it(steps):
    for wrong in (Wrong, Wrong("instance")):
        call = steps("one")
        with pytest.raises(Wrong):
            call.throw(wrong)
        with pytest.raises(RuntimeError, match="cannot reuse"):
            call.send(None)
    with pytest.raises(TypeError):
        call = steps("one")
        call.throw(1)
    call.close()


def test_close_runs_what_has_to_be_cleaned_up():
    cleaned = []

    @cached(InMemoryCache())
    async def f(stubborn=False):
        try:
            await Yields("one")
        finally:
            cleaned.append(1)
            if stubborn:
                await Yields("again")

    call = f()
    call.send(None)
    call.close()
    assert cleaned == [1]
    call.close()
    call = f(stubborn=True)
    call.send(None)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        call.close()


def test_one_that_comes_back_to_itself_is_refused(steps):
    calls = []

    @cached(InMemoryCache())
    async def f(how):
        with pytest.raises(ValueError, match="coroutine already executing"):
            how(calls[-1])
        return "unharmed"

    for how in (
        lambda call: call.send(None),
        lambda call: call.throw(Wrong()),
        lambda call: call.close(),
    ):
        calls.append(f(how))
        with pytest.raises(StopIteration) as stopped:
            calls[-1].send(None)
        assert stopped.value.value == "unharmed"


def test_without_a_loop_of_asyncio_there_is_nothing_to_wait_in(clock):
    runs = []

    @cached(InMemoryCache(), ttl=10, stale_ttl=100, singleflight=True)
    async def f():
        runs.append(1)
        await Yields("elsewhere")
        return len(runs)

    def drive(call):
        assert call.send(None) == "elsewhere"
        with pytest.raises(StopIteration) as stopped:
            call.send(None)
        return stopped.value.value

    assert drive(f()) == 1
    with pytest.raises(StopIteration):
        f().send(None)
    clock.advance(10)
    with pytest.raises(StopIteration) as stopped:
        f().send(None)
    assert stopped.value.value == 1, "stale: nobody is there to refresh it"
    clock.advance(100)
    assert drive(f()) == 2
