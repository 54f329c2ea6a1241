"""The lines of one process to one server: never more than allowed, kept between batches, never handed out stale."""

from __future__ import annotations

import math
import selectors
import socket
import threading
import time
from collections.abc import Callable

from notify.channels.email.smtp_line import Line, take_leave
from notify.errors import DeliveryError, Throttled, Transient

KEPT_SECONDS = 20.0
ENOUGH_SECONDS = 60.0  # so long nobody tries whether more lines would help after all
REFUSED_SECONDS = 60.0  # so long a server that refused one more line is not asked again


class Pool:
    """Shared by threads. `dial` opens a line or raises a `DeliveryError`.

    At most `connections` lines are open at a time, borrowed and kept together; a line carries about `messages`.
    """

    def __init__(
        self,
        dial: Callable[[], Line],
        *,
        connections: int,
        messages: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.messages = messages
        self.sensible = 1  # lines that the last batch had use for
        self._enough_until = 0.0
        self._dial = dial
        self._connections = connections
        self._clock = clock
        self._changed = threading.Condition()
        self._kept: list[Line] = []
        self._open = 0  # borrowed, kept, or being dialled
        self._borrowed = 0
        self._ceiling = connections
        self._ceiling_until = 0.0
        self._reaper: threading.Timer | None = None
        self._closed = False

    @property
    def enough(self) -> bool:
        """Whether more lines were tried lately, to no avail."""
        return self._clock() < self._enough_until

    def learn(self, sensible: int, *, enough: bool) -> None:
        """What a batch found: how many lines are sensible, and whether more were of no use."""
        if not self.enough:
            self.sensible = sensible
        if enough and not self.enough:
            self._enough_until = self._clock() + ENOUGH_SECONDS

    def borrow(self, patience: float = math.inf) -> Line:
        """A line; waits while all that may be open are borrowed. Raises `Transient`, `Throttled` or `Misconfigured`.

        After so many seconds of waiting it is `Transient`, too.
        """
        deadline = self._clock() + patience
        while True:
            try:
                line = self._kept_or_room(deadline)
            except _NoRoom:
                raise Transient("connections_busy", "all connections that may be open are in use") from None
            if line is not None:
                return line
            try:
                return self._dialled()
            except (Transient, Throttled):
                with self._changed:
                    if not self._borrowed:  # else the server takes no more than it has: one of those comes back
                        raise

    def recruit(self, land: Callable[[Line | None], None]) -> bool:
        """One more line, without waiting: `land` is called with it, or None, perhaps from another thread.

        False, and no call, when there may be no more.
        """
        try:
            line = self._kept_or_room(-math.inf)
        except _NoRoom:
            return False
        if line is not None:
            land(line)
        else:
            threading.Thread(target=self._recruit, args=(land,), name="smtp-dial", daemon=True).start()
        return True

    def give_back(self, line: Line, *, sound: bool) -> None:
        """The borrower is done. A sound line, one on which nothing is under way, may be kept; others are hung up."""
        with self._changed:
            self._borrowed -= 1
            worn = self._closed or line.carried >= self.messages
            if sound and not worn:
                line.kept_since = self._clock()
                self._kept.append(line)
                self._watch_kept()
                self._changed.notify()
                return
        if sound:
            take_leave([line])
        else:
            line.close()
        self._gone(1)

    def close(self) -> None:
        """Take leave on every kept line; those still borrowed follow when they are given back."""
        with self._changed:
            self._closed = True
            kept, self._kept = self._kept, []
            if self._reaper is not None:
                self._reaper.cancel()
        take_leave(kept)
        self._gone(len(kept))

    def _recruit(self, land: Callable[[Line | None], None]) -> None:
        line = None
        try:
            line = self._dialled()
        except DeliveryError:
            with self._changed:  # whatever the reason: those that work go on, and nobody asks for more
                self._lower_ceiling()
        finally:
            land(line)

    def _kept_or_room(self, deadline: float) -> Line | None:
        """A kept line that is fresh, or None and the right to dial one. Raises `_NoRoom` after the deadline."""
        with self._changed:
            while True:
                while self._kept:  # the freshest first, so that those not needed grow old
                    line = self._kept.pop()
                    if self._is_fresh(line):
                        self._borrowed += 1
                        return line
                    line.close()
                    self._open -= 1
                if self._open < self._limit():
                    self._open += 1
                    return None
                left = deadline - self._clock()
                if left <= 0:
                    raise _NoRoom
                self._changed.wait(min(left, REFUSED_SECONDS))  # after which a lowered ceiling is lifted

    def _dialled(self) -> Line:
        try:
            line = self._dial()
        except BaseException as error:
            with self._changed:
                if isinstance(error, Transient | Throttled) and self._borrowed:
                    self._lower_ceiling()
            self._gone(1)
            raise
        with self._changed:
            self._borrowed += 1
        return line

    def _lower_ceiling(self) -> None:
        self._ceiling = max(1, self._borrowed + len(self._kept))
        self._ceiling_until = self._clock() + REFUSED_SECONDS

    def _limit(self) -> int:
        return self._ceiling if self._clock() < self._ceiling_until else self._connections

    def _is_fresh(self, line: Line) -> bool:
        assert line.kept_since is not None
        return self._clock() - line.kept_since <= KEPT_SECONDS and line.silent

    def _gone(self, count: int) -> None:
        with self._changed:
            self._open -= count
            self._changed.notify_all()

    def _watch_kept(self) -> None:
        """Have kept lines closed in time, by one timer at a time."""
        if self._reaper is None:
            self._reaper = threading.Timer(KEPT_SECONDS, self._reap)
            self._reaper.daemon = True
            self._reaper.start()

    def _reap(self) -> None:
        with self._changed:
            self._reaper = None
            old = [line for line in self._kept if not self._is_fresh(line)]
            self._kept = [line for line in self._kept if line not in old]
            if self._kept and not self._closed:
                self._watch_kept()
        take_leave(old)
        self._gone(len(old))


class Landing:
    """Where lines that were dialled in other threads arrive; those that come too late go to the pool."""

    def __init__(self, pool: Pool) -> None:
        self.expected = 0
        self._pool = pool
        self._lock = threading.Lock()
        self._lines: list[Line | None] = []
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._closed = False

    def recruit(self, selector: selectors.BaseSelector) -> bool:
        """Ask for one more line, whose arrival wakes this selector; False when there may be no more."""
        if self._bell is None:
            self._bell = socket.socketpair()
            selector.register(self._bell[0], selectors.EVENT_READ, None)
        self.expected += 1
        if self._pool.recruit(self._land):
            return True
        self.expected -= 1
        return False

    def collect(self) -> tuple[list[Line], int]:
        """The lines that came since, and how many will not."""
        assert self._bell is not None
        with self._lock:
            self._bell[0].recv(4096)
            landed, self._lines = self._lines, []
        self.expected -= len(landed)
        lines = [line for line in landed if line is not None]
        return lines, len(landed) - len(lines)

    def close(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._closed = True
            landed, self._lines = self._lines, []
        for line in filter(None, landed):
            self._pool.give_back(line, sound=True)
        for end in self._bell or ():
            end.close()

    def _land(self, line: Line | None) -> None:
        with self._lock:
            if not self._closed:
                assert self._bell is not None
                self._lines.append(line)
                self._bell[1].send(b"!")
                return
        if line is not None:
            self._pool.give_back(line, sound=True)


class _NoRoom(Exception):
    """As many lines are open as may be."""
