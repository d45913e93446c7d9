"""What a lock is not."""

from __future__ import annotations

from cachine import AsyncInMemoryCache, InMemoryCache, RedisCache

memory = InMemoryCache[int]()

memory.lock()  # error
memory.lock(1)  # error
memory.lock("name", None)  # error
memory.lock("name", "30")  # error
memory.lock("name", 30, "1")  # error
memory.lock("name", 30, 1, 2)  # error
memory.lock("name", wait=1)  # error
RedisCache().lock(b"name")  # error
memory.lock("name").token = 5  # error
memory.lock("name").lost = True  # error
memory.lock("name").release()  # error
text: str = memory.lock("name").token  # error

with AsyncInMemoryCache().lock("name"):  # error
    pass


async def main() -> None:
    await AsyncInMemoryCache().lock("name")  # error
    async with memory.lock("name"):  # error
        pass
