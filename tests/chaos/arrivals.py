"""What reached the SMTP server, read from its file as it grows."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

TAKEN = frozenset({b"250", b"kept"})


class Arrivals:
    """By Message-ID without its domain: how many mails were taken, when the first was, and how many bodies came."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lock = threading.Lock()
        self.taken: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()
        self.first: dict[str, float] = {}  # seconds since the epoch
        self.verdicts: Counter[str] = Counter()

    def read(self) -> int:
        """Read what came since; returns how many mails were taken in all."""
        with self._lock:
            with self._path.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                self._note(*line.split())
            return sum(self.verdicts[verdict.decode()] for verdict in TAKEN)

    def _note(self, name: bytes, verdict: bytes, at: bytes) -> None:
        key = name.decode("latin-1")
        self.bodies[key] += 1
        self.verdicts[verdict.decode()] += 1
        if verdict in TAKEN:
            self.taken[key] += 1
            self.first.setdefault(key, float(at))
