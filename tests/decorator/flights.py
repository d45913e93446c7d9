"""A coroutine function that a test holds while tasks wait for it."""

from __future__ import annotations

import asyncio
import gc

from cachine import cached

from .crowd import PATIENCE, Gate, soon


def run(main):
    """Run a coroutine that must not hang, and see that nothing of it is left over."""
    noise = []

    async def limited():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: noise.append(context))
        result = await asyncio.wait_for(main, PATIENCE)
        await soon(lambda: len(asyncio.all_tasks()) == 1, "no task is left")
        return result

    result = asyncio.run(limited())
    gc.collect()
    assert noise == []
    return result


class Flight:
    """A coroutine function that a test holds while others wait for it."""

    def __init__(self, cache, result=None, **options):
        self.gate = Gate()
        self.runs = 0
        self.cancelled = 0
        self.result = result
        self.f = cached(cache, singleflight=True, **options)(self._run)

    async def _run(self, x=0):
        self.runs += 1
        try:
            await self.gate.passing_async()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.result() if callable(self.result) else self.result

    async def callers(self, count):
        """So many tasks that call, all of them waiting."""
        before = self.f.cache_info().misses
        tasks = [asyncio.create_task(self.f()) for _ in range(count)]
        await soon(lambda: self.f.cache_info().misses == before + count and self.runs)
        return tasks

    async def share(self, count):
        tasks = await self.callers(count)
        self.gate.open()
        return await asyncio.gather(*tasks, return_exceptions=True)
