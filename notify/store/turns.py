"""SQLite's writers take turns: nobody who waits is overtaken by whoever has just written.

SQLite itself has no queue: who finds the database locked looks again after ever longer pauses, up to 100 ms, and a busy
writer is back before. So a writer first takes the gate, a lock on a file beside the database, and leaves it only once
it has the database: the next one waits at the gate, and whoever has just written behind it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable

LOOK_SECONDS = 0.002


class Gate:
    """One connection's way in. `path` is that of the database; a process that dies leaves the gate open."""

    def __init__(self, path: str) -> None:
        self._file = os.open(f"{path}-gate", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)

    def enter(self, begin: Callable[[], object], patience: float) -> None:
        """Call `begin` until the database is not busy, in turn; its last error is raised after so many seconds.

        Nobody waits at the gate for longer: one who stands in it may have been stopped.
        """
        deadline = time.monotonic() + patience
        mine = self._taken(deadline)
        try:
            while not _begun(begin, last=time.monotonic() >= deadline):
                time.sleep(LOOK_SECONDS)
        finally:
            if mine:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _taken(self, deadline: float) -> bool:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(LOOK_SECONDS)
            else:
                return True


def _begun(begin: Callable[[], object], *, last: bool) -> bool:
    try:
        begin()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or last:
            raise
        return False
    return True
