"""A day of an on-line shop: 95,607 requests for product pages, with and without a cache.

The requests are real (``data/README.md``), in the order in which they came. Every page is made
from a real SQLite database. Then a thousand threads ask for one page at the same moment.

Run it with ``cargo x demo``.
"""

from __future__ import annotations

import lzma
import sqlite3
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns

from tqdm import tqdm

from cachine import InMemoryCache, cached

REQUESTS = Path(__file__).parent / "data" / "web12.u32.xz"
THREADS = 1_000


def read_requests() -> array[int]:
    """The product of each request, in order."""
    requests = array("I")
    requests.frombytes(lzma.open(REQUESTS).read())
    if sys.byteorder == "big":
        requests.byteswap()
    return requests


class Shop:
    """The shop's database, and how often it was asked."""

    def __init__(self, folder: str, products: int) -> None:
        self.queries = 0
        self.database = sqlite3.connect(Path(folder) / "shop.db", check_same_thread=False)
        self.lock = threading.Lock()
        with self.database as database:
            database.execute("create table product (id integer primary key, name text, cents integer)")
            database.execute("create table review (product integer, stars integer, words text)")
            database.execute("create index by_product on review (product)")
            rows = ((id, f"Product {id}", 99 + id * 37 % 20_000) for id in range(products))
            database.executemany("insert into product values (?, ?, ?)", rows)
            rows = ((id, 1 + (id + n) % 5, f"review {n}") for id in range(products) for n in range(5))
            database.executemany("insert into review values (?, ?, ?)", rows)

    def page(self, product: int) -> str:
        """The page of a product: one query."""
        with self.lock:
            self.queries += 1
            name, cents, reviews, stars = self.database.execute(
                "select name, cents, count(*), avg(stars) from product "
                "join review on review.product = product.id where product.id = ?",
                (product,),
            ).fetchone()
        return f"<h1>{name}</h1><p>{cents / 100:.2f} €, {reviews} reviews, {stars:.1f} stars</p>"


def serve(title: str, page: Callable[[int], str], requests: Sequence[int]) -> list[int]:
    """Answer every request; how long each took, in nanoseconds, the shortest first."""
    times = []
    # Without a terminal there is nobody to watch a bar.
    bar = tqdm(requests, desc=title, unit=" requests", leave=False, disable=not sys.stderr.isatty())
    for product in bar:
        start = perf_counter_ns()
        page(product)
        times.append(perf_counter_ns() - start)
    return sorted(times)


def stampede(shop: Shop, page: Callable[[int], str], product: int) -> tuple[int, int]:
    """Ask for one page from a thousand threads at once: answers, and queries that this cost."""
    before, answers = shop.queries, []
    gate = threading.Event()

    def ask() -> None:
        gate.wait()
        answers.append(page(product))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    return len(answers), shop.queries - before


def row(title: str, times: list[int], queries: int) -> str:
    """A line of the table."""
    at = lambda share: times[int(len(times) * share)] / 1000  # noqa: E731
    hits = 1 - queries / len(times)
    return f"{title:<16}{len(times):>9,}{queries:>9,}{hits:>10.1%}{at(0.5):>10.2f}{at(0.99):>10.2f}"


def main() -> None:
    """Run the shop twice, then the stampede."""
    requests = read_requests()
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(folder, max(requests) + 1)
        cache = InMemoryCache(max_size=5_000)

        # This line is all it takes.
        page = cached(cache, ttl=300, singleflight=True)(shop.page)

        lines = []
        for title, answer in (("without a cache", shop.page), ("with @cached", page)):
            shop.queries = 0
            times = serve(title, answer, requests)
            lines.append(row(title, times, shop.queries))
        page.cache_clear()
        answers, queries = stampede(shop, page, requests[0])
        shop.database.close()

    print(f"{'':<16}{'requests':>9}{'queries':>9}{'hit ratio':>10}{'p50 µs':>10}{'p99 µs':>10}")
    print(*lines, sep="\n")
    print(f"\n{answers:,} threads asked for one page at once: {queries} query")
    if queries != 1:
        sys.exit("the stampede should have cost one query")


if __name__ == "__main__":
    main()
