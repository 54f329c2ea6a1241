"""A sink that nobody waits for longer than so many seconds."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait

from notify.channels.sinks.contract import Sink
from notify.errors import NotifyError, Unreachable
from notify.model import Notice

SECONDS = 15.0


class Bounded:
    """Tells in a thread of its own, one notice at a time.

    One that takes longer goes on in its thread: should it come through after all, the same notice is not told anew.
    """

    def __init__(self, sink: Sink, *, key: str, seconds: float = SECONDS) -> None:
        self.name = sink.name
        self.key = key
        self._sink = sink
        self._seconds = seconds
        self._lock = threading.Lock()
        self._under_way: tuple[str, Future[None]] | None = None

    def tell(self, notice: Notice) -> None:
        """See `Sink`; `Unreachable` too when it takes too long, or is still busy with an earlier notice."""
        with self._lock:
            future = self._begun(notice)
        wait((future,), timeout=self._seconds)
        if not future.done():
            raise Unreachable(f"{self.name} took longer than {self._seconds:g} s")
        with self._lock:
            self._under_way = None
        try:
            future.result()
        except NotifyError:
            raise
        except Exception as error:  # a defect of one sink must not keep the others from being told
            raise Unreachable(f"{self.name}: {type(error).__name__}") from error

    def _begun(self, notice: Notice) -> Future[None]:
        """The telling of this notice: a new one, or one that was given up and went on."""
        if self._under_way is not None:
            busy_with, future = self._under_way
            if busy_with == notice.id and not _failed(future):
                return future
            if not future.done():
                raise Unreachable(f"{self.name} is still busy with an earlier notice")
        future = Future()
        self._under_way = (notice.id, future)
        threading.Thread(target=self._run, args=(notice, future), name="alert-sink", daemon=True).start()
        return future

    def _run(self, notice: Notice, future: Future[None]) -> None:
        try:
            self._sink.tell(notice)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(None)


def _failed(future: Future[None]) -> bool:
    return future.done() and future.exception() is not None
