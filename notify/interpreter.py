"""How the interpreter serves threads: while somebody needs it otherwise, and until the last who does has ended."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

SWITCH_SECONDS = 0.0005


class _Shared:
    """A change of the whole process: made for the first that needs it, taken back after the last, on any thread."""

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._users = 0
        self._changed = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._changed.enter_context(self._change())
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._changed.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def _short_turns() -> Iterator[None]:
    was = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(was)


uncollected = _Shared(_no_collection)
"""For rows that refer to nothing that refers back: the garbage collector would look at all of them again and again."""

prompt = _Shared(_short_turns)
"""Let a thread that has the database's answer go on soon.

It has to ask the threads that are busy for the interpreter, a dozen times for a slice of rows or for a page, and would
wait 5 ms each time.
"""
