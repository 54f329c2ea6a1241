"""How often whoever posts may make us ask somewhere else: no stranger uses up what others need.

Strangers have a share each, and one in all. Those who proved themselves before have a reserve besides.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

SPAN = 60.0  # seconds that all numbers here are for
ALL, EACH = 30, 5  # of strangers together, and of each
RESERVE = 10  # of those who are known, together
MOST_KNOWN = 1000  # callers that are remembered


class Allowance:
    """A caller is an address of the network; "" is one that nobody knows, and has no share of its own.

    May be used from many threads.
    """

    def __init__(self) -> None:
        self._taken: deque[tuple[float, str]] = deque()
        self._reserved: deque[float] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def know(self, caller: str) -> None:
        """This caller proved who it is."""
        if not caller:
            return
        with self._lock:
            self._known[caller] = None
            self._known.move_to_end(caller)
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)

    def take(self, caller: str, now: float) -> bool:
        """Whether it may make us ask once, at this moment of a monotonic clock in seconds."""
        with self._lock:
            return self._take(caller, now)

    def _take(self, caller: str, now: float) -> bool:
        while self._taken and now - self._taken[0][0] >= SPAN:
            self._taken.popleft()
        while self._reserved and now - self._reserved[0] >= SPAN:
            self._reserved.popleft()
        mine = sum(1 for _, one in self._taken if one == caller) if caller else 0
        if len(self._taken) < ALL and mine < EACH:
            self._taken.append((now, caller))
            return True
        if caller in self._known and len(self._reserved) < RESERVE:
            self._reserved.append(now)
            return True
        return False
