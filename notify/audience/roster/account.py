"""What an import does, row by row: counted, told, and the rows that were left out kept in a file of their own."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from notify.audience.roster.cells import guarded
from notify.audience.roster.columns import REJECTS
from notify.audience.roster.writing import new_file

KEPT = 10_000
"""Rows that were left out are listed up to so many; a file of rejects names all of them."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not imported. `line` is where it begins in the file, the header being line 1."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Altered:
    """What a row changes: a recipient who is new, or by field what was before and what comes after."""

    line: int
    key: str
    inserted: bool
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Imported:
    """What an import did. `word` shows whether an encoding that had to be guessed is right; else it is empty.

    `refused` and `duplicates` list the first 10,000 rows each; the counts are of all.
    """

    encoding: str = ""
    delimiter: str = ","
    word: str = ""
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    suppressed: int = 0
    refused_rows: int = 0
    duplicate_rows: int = 0
    refused: list[Refused] = field(default_factory=list)
    duplicates: list[Refused] = field(default_factory=list)


Reject = Callable[[int, str, Sequence[str]], None]
"""Keep a row that was left out: its line, the reason, and its cells."""


class Account:
    """The running account of one import."""

    def __init__(self, result: Imported, keep: Reject, tell: Callable[[Altered], None] | None) -> None:
        self.result, self._keep, self.tell = result, keep, tell

    def refuse(self, line: int, reason: str, cells: Sequence[str]) -> None:
        """A row that cannot be used."""
        self.result.refused_rows += 1
        self._left_out(self.result.refused, line, reason, cells)

    def repeat(self, line: int, reason: str, cells: Sequence[str]) -> None:
        """A row whose key stood before."""
        self.result.duplicate_rows += 1
        self._left_out(self.result.duplicates, line, reason, cells)

    def in_order(self) -> None:
        """List what was left out as it stands in the file: rows that wait for an address are refused last."""
        for listed in (self.result.refused, self.result.duplicates):
            listed.sort(key=lambda one: one.line)

    def _left_out(self, listed: list[Refused], line: int, reason: str, cells: Sequence[str]) -> None:
        if len(listed) < KEPT:
            listed.append(Refused(line, reason))
        self._keep(line, reason, cells)


@contextmanager
def rejects(path: Path | None, header: Sequence[str], *, force: bool) -> Iterator[Reject]:
    """What keeps rejected rows as CSV at `path`: line, reason, then the cells as they were; nothing without a path.

    They stand in the order of the file, and wait for it in a temporary database, so that memory does not grow. It is
    written once all is done, and not at all when that fails or nothing was rejected. `OperatorError` when there
    is such a file already, unless `force`.
    """
    if path is None:
        yield lambda line, reason, cells: None
        return
    old = tuple(header[:2]) == REJECTS  # a mended file of rejects: its own two columns stand there already
    with new_file(path, force=force) as file, closing(sqlite3.connect("", isolation_level=None)) as kept:
        for pragma in ("journal_mode=OFF", "synchronous=OFF"):
            kept.execute(f"PRAGMA {pragma}")
        kept.execute("CREATE TABLE left_out (line INTEGER PRIMARY KEY, row TEXT)")
        kept.execute("BEGIN")

        def keep(line: int, reason: str, cells: Sequence[str]) -> None:
            row = [str(line), reason, *(cells[2:] if old else cells)]
            kept.execute("INSERT INTO left_out VALUES (?, ?)", (line, json.dumps(row)))

        yield keep
        writer = csv.writer(file)
        for number, (row,) in enumerate(kept.execute("SELECT row FROM left_out ORDER BY line")):
            if not number:
                writer.writerow(map(guarded, [*REJECTS, *(header[2:] if old else header)]))
            writer.writerow(map(guarded, json.loads(row)))
