"""How many lines to a server are sensible: more as long as waiting for it is most of the work, and more lines help.

With `n` lines at work, each waiting for its own answer, half of them would make a message cost `elapsed + waited`
instead of `elapsed`: as long as that stays well below the limit, the other half is not needed. And when a message costs
as much on twice the lines, the server takes one after the other, and further lines would only be more to be in doubt.
"""

from __future__ import annotations

TOO_LONG_SECONDS = 0.001  # waited for each message: about as long as a worker's own work for one
QUICK_SECONDS = 0.0005
ANSWERS_PER_LINE, FEWEST_ANSWERS = 3, 6
SLOW_WINDOWS = 2  # in a row: one alone may be this machine's own hiccup
HELPED = 0.75  # of what a message cost before: twice the lines must save a quarter at least


class Gauge:
    """Judges by windows of a few answers on each line. `wanted` is the number of lines to work with.

    `enough` says that more were tried, to no avail.
    """

    def __init__(self, wanted: int, *, enough: bool = False) -> None:
        self.wanted = wanted
        self.enough = enough
        self._too_many = self._in_vain = False
        self._slow = 0
        self._costs: list[float] = []  # of a message, in the slow windows so far
        self._before: float | None = None  # what a message cost on half as many lines
        self._begun: float | None = None
        self._now = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new window, for the number of lines has changed."""
        self._slow, self._costs = 0, []
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
        if waited > TOO_LONG_SECONDS:
            self._slow += 1
            self._costs.append(elapsed)
        else:
            self._slow, self._costs = 0, []
        if self._slow == SLOW_WINDOWS and not self.enough:
            self._grow(lines, sum(self._costs) / len(self._costs))
        self._too_many = lines > 1 and elapsed + waited < QUICK_SECONDS
        self._clear()

    @property
    def sensible(self) -> int:
        """How many lines to begin with next time."""
        return max(1, self.wanted // 2) if self._too_many or self._in_vain else self.wanted

    def _grow(self, lines: int, cost: float) -> None:
        if self._before is not None and cost > HELPED * self._before:
            self.enough = self._in_vain = True
        else:
            self.wanted, self._before = 2 * lines, cost
        self._slow, self._costs = 0, []

    def _clear(self) -> None:
        self._begun, self._waited, self._answers = None, 0.0, 0
