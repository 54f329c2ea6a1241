"""Runs `notify …` on a clock that is as many seconds ahead as a file says: `python -m tests.chaos.shifted worker`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notify import app
from notify.cli import main

FILE = "CHAOS_CLOCK"


class ShiftedClock:
    """The machine's clock, and what the file says on top."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=float(self._path.read_text()))

    def jump(self, seconds: float) -> None:
        """Be so many seconds ahead from now on, in every process that reads the file."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._path)


if __name__ == "__main__":
    clock = ShiftedClock(Path(os.environ[FILE]))
    setattr(app.SystemClock, "now", lambda _: clock.now())  # noqa: B010 - it is replaced, and meant to be
    sys.exit(main())
