"""How long one invalidation of very many entries holds a Redis server up.

200,000 entries get a tag, then the tag is invalidated, while another connection asks the server
again and again. Shown are the longest waits for an answer, before and during the invalidation, and
the slowest command that the server itself has noted: that is what others would have to wait for.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from servers import Raw, Server

from cachine import RedisCache

ENTRIES = 200_000


class Asking(threading.Thread):
    """Asks the server until it is told to stop, and notes how long each answer took."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.waits: list[float] = []
        self.goes_on = True

    def run(self) -> None:
        with Raw(("127.0.0.1", self.port)) as raw:
            while self.goes_on:
                began = perf_counter()
                raw.command("PING")
                self.waits.append(perf_counter() - began)

    def stop(self) -> str:
        self.goes_on = False
        self.join()
        waits = sorted(self.waits)
        worst = waits[-1] * 1000
        most = waits[int(len(waits) * 0.999)] * 1000
        return f"99.9 % of {len(waits)} answers within {most:.2f} ms, the longest {worst:.2f} ms"


def asked_while(port: int, act: object) -> str:
    asking = Asking(port)
    asking.start()
    act()  # type: ignore[operator]
    return asking.stop()


def main() -> None:
    with Server() as server, RedisCache(port=server.port, namespace="bench", timeout=10) as cache:
        began = perf_counter()
        for number in range(ENTRIES):
            cache.set(f"entry:{number}", number, ttl=600, tags=["all"])
        print(f"{ENTRIES} entries with a tag, set one by one in {perf_counter() - began:.1f} s")

        def wait() -> None:
            threading.Event().wait(1)

        print(f"  idle:         {asked_while(server.port, wait)}")
        server.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
        server.command("CONFIG", "SET", "slowlog-max-len", 10_000)
        server.command("SLOWLOG", "RESET")
        counts: list[int] = []
        began = perf_counter()
        told = asked_while(server.port, lambda: counts.append(cache.invalidate_tags(["all"])))
        took = perf_counter() - began
        slowest = max((entry[2], entry[3][0]) for entry in server.command("SLOWLOG", "GET", -1))
        print(f"  invalidation: {told}")
        print(f"  {counts[0]} entries in {took:.2f} s; the slowest command seen by the server")
        print(f"  took {slowest[0] / 1000:.2f} ms ({slowest[1].decode()})")


if __name__ == "__main__":
    main()
