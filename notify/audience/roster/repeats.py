"""In which line of a file each key stood first: kept on disk, so that memory does not grow with the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from types import TracebackType

CACHE_KB = 16_384
# one statement for all: each would let go of the interpreter, and wait for it behind the thread that reads
_NOTE = "INSERT OR IGNORE INTO first SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"


class FirstLines:
    """Keys and their first lines, in a temporary database that is gone when it is closed."""

    def __init__(self) -> None:
        self._lines = sqlite3.connect("", isolation_level=None)
        for pragma in (f"cache_size=-{CACHE_KB}", "journal_mode=OFF", "synchronous=OFF"):
            self._lines.execute(f"PRAGMA {pragma}")
        self._lines.execute("CREATE TABLE first (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._lines.execute("BEGIN")

    def __enter__(self) -> FirstLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lines.close()

    def repeated(self, keys: Sequence[tuple[str, int]]) -> dict[int, int]:
        """Note these keys, each with its line, in the order of the file; for a line whose key stood before: where."""
        noted = self._lines.execute(_NOTE, (json.dumps(keys),)).rowcount
        if noted == len(keys):
            return {}
        first = self.of([key for key, _ in keys])
        return {line: first[key] for key, line in keys if first[key] != line}

    def of(self, keys: Sequence[str]) -> dict[str, int]:
        """The first lines of these keys, as far as they stood in the file."""
        chosen = "SELECT key, line FROM first WHERE key IN (SELECT value FROM json_each(?))"
        return dict(self._lines.execute(chosen, (json.dumps(list(keys)),)))
