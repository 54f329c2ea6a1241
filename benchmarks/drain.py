"""How fast workers empty a queue: from 5 % to 100 % of the work, so that their start does not count."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import cpu_seconds, peak_megabytes
from benchmarks.services import Failed, Sink, until

STARTED = 0.05
LIMIT_SECONDS = 600.0
STANDSTILL_SECONDS = 30.0
TOLD_LINES = 15


@dataclass(frozen=True, slots=True)
class Drain:
    """One queue emptied.

    `rate` is in messages/s; the microseconds are CPU time per message; `worker_mb` is the most memory that any of
    the workers has had.
    """

    messages: int
    seconds: float
    rate: float
    worker_us: float | None
    sink_us: float | None
    worker_mb: float | None


def drained(
    done: Callable[[], int],
    total: int,
    workers: Sequence[subprocess.Popen[bytes]],
    sink: Sink,
    *,
    log: Path,
    every: float = 0.02,
) -> Drain:
    """Wait until `done()` says `total`. Raises `Failed`, with the end of the workers' `log`, when nothing moves."""
    progress = _Progress(done, workers, log)

    def reached(count: float) -> Callable[[], bool]:
        return lambda: progress() >= count

    pids = [worker.pid for worker in workers]
    until(reached(total * STARTED), LIMIT_SECONDS, f"{STARTED:.0%} of {total} messages are sent", every=every)
    first, began, before, sink_before = done(), time.perf_counter(), cpu_seconds(pids), cpu_seconds([sink.pid])
    until(reached(total), LIMIT_SECONDS, f"all {total} messages are sent", every=every)
    seconds, count = time.perf_counter() - began, total - first
    return Drain(
        messages=total,
        seconds=round(seconds, 3),
        rate=round(count / seconds, 1),
        worker_us=_each(before, cpu_seconds(pids), count),
        sink_us=_each(sink_before, cpu_seconds([sink.pid]), count),
        worker_mb=max((found for found in map(peak_megabytes, pids) if found is not None), default=None),
    )


class _Progress:
    """Asks how much is done, and loses patience when that stands still."""

    def __init__(self, done: Callable[[], int], workers: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
        self._done = done
        self._workers = workers
        self._log = log
        self._last, self._moved = -1, time.monotonic()

    def __call__(self) -> int:
        count, now = self._done(), time.monotonic()
        if count != self._last:
            self._last, self._moved = count, now
        died = any(worker.poll() is not None for worker in self._workers)
        if died or now - self._moved > STANDSTILL_SECONDS:
            told = "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-TOLD_LINES:])
            what = "a worker died" if died else f"nothing was sent for {STANDSTILL_SECONDS:.0f} s"
            raise Failed(f"{what}; the end of its log:\n{told}")
        return count


def _each(before: float | None, after: float | None, count: int) -> float | None:
    return None if before is None or after is None else round((after - before) / count * 1e6, 1)
