"""How fast workers empty a queue: what the SMTP server took from 5 % of the messages on, until all are settled.

The start of processes does not count: the time begins only when every worker has spoken to the SMTP server, or at 25 %.
It begins at a count of mails, not of finished batches, so that batches in hand flatter nobody.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import connected, cpu_seconds, family, megabytes, peak_megabytes
from benchmarks.services import Failed, Sink, until

Workers = Sequence[subprocess.Popen[bytes]]

STARTED, STARTED_AT_LAST = 0.05, 0.25
LIMIT_SECONDS = 3600.0
STANDSTILL_SECONDS = 30.0
TRAIL_SECONDS = 1.0
LOOK_SECONDS = 0.02
TOLD_LINES = 15


@dataclass(frozen=True, slots=True)
class Moment:
    """How many mails had come after `seconds`, and the memory of the largest worker then, in MB."""

    seconds: float
    messages: int
    worker_mb: float | None


@dataclass(frozen=True, slots=True)
class Drain:
    """What happened in a stretch of time.

    `rate` is in messages/s; the microseconds are CPU time per message; `worker_mb` is the most memory that any of
    the workers has had. `trail` holds a moment for each second.
    """

    messages: int
    seconds: float
    rate: float
    worker_us: float | None
    sink_us: float | None
    worker_mb: float | None
    trail: tuple[Moment, ...]

    def figures(self) -> dict[str, float | None]:
        """All but the trail."""
        names = ("messages", "seconds", "rate", "worker_us", "sink_us", "worker_mb")
        return {name: getattr(self, name) for name in names}


def drained(settled: Callable[[], bool], total: int, workers: Workers, sink: Sink, *, log: Path) -> Drain:
    """Wait until the SMTP server has `total` mails and all are `settled()`, which is asked only then.

    Raises `Failed`, with the end of the workers' `log`, when nothing moves or a worker dies.
    """
    progress = Progress(workers, sink, log)

    def begun() -> bool:
        count = progress()
        return count >= total * STARTED_AT_LAST or (count >= total * STARTED and all_speak(workers, sink))

    until(begun, LIMIT_SECONDS, f"{STARTED:.0%} of {total} messages are sent", every=LOOK_SECONDS)
    watch = Watch(workers, sink)

    def finished() -> bool:
        count = progress()
        watch.look(count)
        return count >= total and settled()

    until(finished, LIMIT_SECONDS, f"all {total} messages are sent and settled", every=LOOK_SECONDS)
    return watch.end()


class Progress:
    """Counts the mails, and loses patience when their number stands still."""

    def __init__(self, workers: Workers, sink: Sink, log: Path) -> None:
        self._workers = workers
        self._sink = sink
        self._log = log
        self._last, self._moved = -1, time.monotonic()

    def __call__(self) -> int:
        """The mails that the SMTP server has taken. Raises `Failed`."""
        count, now = self._sink.count.messages, time.monotonic()
        if count != self._last:
            self._last, self._moved = count, now
        died = any(worker.poll() is not None for worker in self._workers)
        if died or now - self._moved > STANDSTILL_SECONDS:
            told = "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-TOLD_LINES:])
            what = "a worker died" if died else f"nothing moved for {STANDSTILL_SECONDS:.0f} s"
            raise Failed(f"{what}; the end of its log:\n{told}")
        return count


class Watch:
    """Measures from its making until `end()`."""

    def __init__(self, workers: Workers, sink: Sink) -> None:
        self._workers = family(worker.pid for worker in workers)
        self._sink = sink
        self._first = sink.count.messages
        self._cpu = cpu_seconds(self._workers), cpu_seconds([sink.pid])
        self._began = time.perf_counter()
        self._trail: list[Moment] = []
        self.look(self._first)

    @property
    def seconds(self) -> float:
        """So long it has been watching."""
        return time.perf_counter() - self._began

    def look(self, count: int) -> None:
        """Note the moment when a second has passed since the last."""
        if not self._trail or self.seconds - self._trail[-1].seconds >= TRAIL_SECONDS:
            self._note(count)

    def end(self) -> Drain:
        """What was measured."""
        seconds, count = self.seconds, self._sink.count.messages
        worker_before, sink_before = self._cpu
        self._note(count)
        done = count - self._first
        return Drain(
            messages=done,
            seconds=round(seconds, 3),
            rate=round(done / seconds, 1),
            worker_us=_each(worker_before, cpu_seconds(self._workers), done),
            sink_us=_each(sink_before, cpu_seconds([self._sink.pid]), done),
            worker_mb=_most(peak_megabytes, self._workers),
            trail=tuple(self._trail),
        )

    def _note(self, count: int) -> None:
        self._trail.append(Moment(round(self.seconds, 3), count, _most(megabytes, self._workers)))


def all_speak(workers: Workers, sink: Sink) -> bool:
    """Whether each worker, or a child of it, has a connection to the SMTP server now."""
    return all(any(connected(pid, sink.port) for pid in family([worker.pid])) for worker in workers)


def _each(before: float | None, after: float | None, count: int) -> float | None:
    return None if before is None or after is None or not count else round((after - before) / count * 1e6, 1)


def _most(figure: Callable[[int], float | None], pids: Sequence[int]) -> float | None:
    return max((found for found in map(figure, pids) if found is not None), default=None)
