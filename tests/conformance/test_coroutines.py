"""The operations of an asynchronous cache are real coroutine functions, those of others are not."""

import asyncio
import inspect
import threading

import pytest

from .column import AWAITED, COLUMNS, PLAIN
from .test_health import OPERATIONS

ASYNC = [column for column in COLUMNS if column.is_async]
BLOCKING = [column for column in COLUMNS if not column.is_async]

asynchronous = pytest.mark.parametrize("kind", ASYNC, ids=lambda column: column.__name__)


@asynchronous
@pytest.mark.parametrize("operation", AWAITED)
def test_every_operation_that_waits_is_a_coroutine_function(kind, operation, make):
    assert inspect.iscoroutinefunction(getattr(kind.cache_class, operation))
    assert asyncio.iscoroutinefunction(getattr(make(kind), operation))


@pytest.mark.parametrize("kind", COLUMNS, ids=lambda column: column.__name__)
@pytest.mark.parametrize("operation", PLAIN)
def test_what_never_waits_is_a_plain_call_everywhere(kind, operation):
    assert not inspect.iscoroutinefunction(getattr(kind.cache_class, operation))


@pytest.mark.parametrize("kind", BLOCKING, ids=lambda column: column.__name__)
@pytest.mark.parametrize("operation", AWAITED)
def test_no_operation_of_a_blocking_cache_is_a_coroutine_function(kind, operation):
    assert callable(getattr(kind.cache_class, operation))
    assert not inspect.iscoroutinefunction(getattr(kind.cache_class, operation))


@pytest.mark.parametrize("operation", AWAITED + PLAIN)
def test_an_operation_takes_the_same_arguments_on_every_cache(operation):
    shapes = set()
    for column in COLUMNS:
        parameters = inspect.signature(getattr(column.cache_class, operation)).parameters.values()
        assert all(each.name.isidentifier() for each in parameters)
        own = [each for each in parameters if each.name != "self"]
        shapes.add(tuple((each.name, each.kind, each.default) for each in own))
    assert len(shapes) == 1, shapes


@pytest.mark.parametrize("operation", AWAITED + PLAIN)
def test_every_operation_says_what_it_does(operation):
    for column in COLUMNS:
        text = inspect.getdoc(getattr(column.cache_class, operation))
        assert text, f"{column.__name__}.{operation} has no documentation"
        assert text.splitlines()[0].endswith((".", ":"))


@asynchronous
@pytest.mark.parametrize("operation", [*OPERATIONS, "ping", "ping_ok", "close"])
def test_asyncio_run_takes_every_operation_as_it_is(kind, operation, make):
    cache = make(kind)
    call = OPERATIONS.get(operation, lambda cache: getattr(cache, operation)())
    coroutine = call(cache)
    assert inspect.iscoroutine(coroutine)
    asyncio.run(coroutine)


@asynchronous
def test_tasks_and_gather_take_operations_as_they_are(kind, make):
    async def main():
        cache = make(kind)
        task = asyncio.get_running_loop().create_task(cache.set("a", 1))
        assert await task is None
        assert await asyncio.gather(cache.get("a"), cache.incr("b"), cache.exists("x")) == [
            1,
            1,
            False,
        ]
        assert await asyncio.wait_for(cache.get("a"), 5) == 1
        assert await asyncio.shield(cache.get("a")) == 1

    asyncio.run(main())


@asynchronous
def test_one_cache_serves_one_event_loop_after_another(kind, make):
    cache = make(kind)
    for number in range(3):
        assert asyncio.run(cache.incr("key")) == number + 1
    asyncio.run(cache.close())


@asynchronous
def test_a_coroutine_that_is_never_awaited_did_nothing(kind, make):
    cache = make(kind)
    cache.set("key", 1).close()
    assert asyncio.run(cache.exists("key")) is False


@asynchronous
def test_an_asynchronous_cache_is_no_context_manager_for_with(kind, make):
    with pytest.raises((AttributeError, TypeError)), make(kind):
        pass


@pytest.mark.parametrize("kind", BLOCKING, ids=lambda column: column.__name__)
def test_a_blocking_cache_refuses_a_coroutine_function_as_factory(kind, make):
    async def compute():
        return 1

    cache = make(kind)
    with pytest.raises(TypeError, match="coroutine function"):
        cache.get_or_set("key", compute)
    assert cache.exists("key") is False


@asynchronous
def test_a_cancelled_caller_leaves_the_computation_to_the_others(kind, make):
    async def main():
        cache, begun, calls = make(kind), asyncio.Event(), []

        async def compute():
            calls.append(1)
            begun.set()
            while cache.get_stats()["coalesced"] < 1:
                await asyncio.sleep(0)
            for _ in range(10):
                await asyncio.sleep(0)
            return "value"

        first = asyncio.ensure_future(cache.get_or_set("key", compute))
        await begun.wait()
        second = asyncio.ensure_future(cache.get_or_set("key", compute))
        while cache.get_stats()["coalesced"] < 1:
            await asyncio.sleep(0)
        first.cancel()
        assert await second == "value"
        assert first.cancelled()
        assert calls == [1]

    asyncio.run(main())


@asynchronous
def test_the_last_caller_to_leave_cancels_the_computation(kind, make):
    async def main():
        cache, begun, ended = make(kind), asyncio.Event(), asyncio.Event()

        async def compute():
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        callers = [asyncio.ensure_future(cache.get_or_set("key", compute)) for _ in range(3)]
        await begun.wait()
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await asyncio.wait_for(ended.wait(), 20)
        assert await cache.get_or_set("key", "another") == "another"

    asyncio.run(main())


@asynchronous
def test_event_loops_of_several_threads_share_a_computation_and_the_cache(kind, make):
    cache, calls, results = make(kind), [], []

    async def compute():
        calls.append(1)
        while cache.get_stats()["coalesced"] < 3:
            await asyncio.sleep(0)
        return "value"

    async def main():
        results.append(await cache.get_or_set("key", compute))
        for _ in range(100):
            await cache.incr("counter")

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["value"] * 4
    assert calls == [1]
    assert asyncio.run(cache.get("counter")) == 400
