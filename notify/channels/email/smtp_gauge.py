"""How many lines to a server are sensible: more while waiting for its answers is most of the work, else few.

With `n` lines at work, each waiting for its own answer, half of them would make a message cost `elapsed + waited`
instead of `elapsed`: as long as that stays well below the limit, the other half is not needed.
"""

from __future__ import annotations

TOO_LONG_SECONDS = 0.001  # waited for each message: about as long as a worker's own work for one
QUICK_SECONDS = 0.0005
ANSWERS_PER_LINE, FEWEST_ANSWERS = 2, 4
SLOW_WINDOWS = 2  # in a row: one alone may be this machine's own hiccup


class Gauge:
    """Judges by windows of a few answers on each line. `wanted` is the number of lines to work with."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._too_many = False
        self._slow = 0
        self._begun: float | None = None
        self._now = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new window, for the number of lines has changed."""
        self._slow = 0
        self._clear()

    def looked(self, begun: float, ended: float) -> None:
        """Waited for answers from one moment to the other, in seconds of one clock, with every line busy."""
        if self._begun is None:
            self._begun = begun
        self._waited += ended - begun
        self._now = ended

    def answered(self, lines: int) -> None:
        """One more message was answered, on so many lines at work."""
        self._answers += 1
        if self._answers < max(FEWEST_ANSWERS, ANSWERS_PER_LINE * lines) or self._begun is None:
            return
        waited = self._waited / self._answers
        elapsed = (self._now - self._begun) / self._answers
        self._slow = self._slow + 1 if waited > TOO_LONG_SECONDS else 0
        if self._slow == SLOW_WINDOWS:
            self.wanted = 2 * lines
        self._too_many = lines > 1 and elapsed + waited < QUICK_SECONDS
        self._clear()

    @property
    def sensible(self) -> int:
        """How many lines to begin with next time."""
        return self.wanted // 2 if self._too_many else self.wanted

    def _clear(self) -> None:
        self._begun, self._waited, self._answers = None, 0.0, 0
