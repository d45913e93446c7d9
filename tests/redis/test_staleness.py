"""Processes that read and invalidate the same entries: no answer is ever out of date."""

from __future__ import annotations

from processes import start  # noqa: F401

PROCESSES, ITEMS, SECONDS = 8, 6, 5.0


def test_8_processes_that_read_and_invalidate_never_get_an_old_answer(start, tmp_path):
    path = tmp_path / "truth"
    path.write_bytes(bytes(16 * ITEMS))
    workers = start(*["sync"] * PROCESSES)
    orders = [
        worker.order("races.run", path=str(path), item=item, items=ITEMS, seconds=SECONDS)
        for item, worker in enumerate(workers)
    ]
    for worker, number in zip(workers, orders):
        assert worker.heard(number) is True
    for worker, number in zip(workers, orders):
        worker.go(number)
    results = [worker.heard(number) for worker, number in zip(workers, orders)]
    for result in results:
        assert result["troubles"] == []
        assert result["old"] == []
    answers = sum(result["answers"] for result in results)
    writes = sum(result["writes"] for result in results)
    assert answers > 1000 and writes > 100, "it was a race"
