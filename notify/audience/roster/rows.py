"""The rows of a roster, one after the other: each is what it says of a person, or why it cannot be used."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from notify.audience.description import describe
from notify.audience.roster import cells as texts
from notify.audience.roster import columns
from notify.audience.roster.columns import ATTRIBUTE, FIELDS, Meanings
from notify.audience.roster.file import Form, lines, opened, unreadable
from notify.errors import RequestError, did_you_mean
from notify.model import Address, Channel, Suppression
from notify.store.recipients import Change

INACTIVE = "inactive"
STATUSES = {
    "active": None,
    INACTIVE: None,
    "unsubscribed": "unsubscribed",
    "bounced": "bounced",
    "complained": "complained",
    "suppressed": "manual",
}
"""What a status means: the reason to suppress the address, or None."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be used. `line` is where it begins in the file, the header being line 1."""

    line: int
    cells: Sequence[str]
    change: Change
    suppression: Suppression | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that cannot be."""

    line: int
    cells: Sequence[str]
    reason: str


class Roster:
    """A roster file that is open: its `header`, and its rows as they are read, once. Raises `OperatorError`.

    `mapping` says what columns mean, `allow_test` permits addresses under `.test` (RFC 2606), and `region` is the
    country of phone numbers that name none.
    """

    def __init__(
        self,
        path: Path,
        form: Form,
        mapping: Mapping[str, Sequence[str]],
        *,
        allow_test: bool = False,
        region: str | None = None,
    ) -> None:
        self._path, self._allow_test, self._region = path, allow_test, region
        self._file = opened(path, form)
        self._lines = _Lines(self._file)
        self._reader = csv.reader(self._lines, delimiter=form.delimiter, strict=True)
        try:
            self.header = self._header()
            self._targets = _Targets(columns.read(self.header, mapping, path))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def position(self) -> int:
        """How many octets of the file are read."""
        return self._file.buffer.tell()

    def records(self) -> Iterator[tuple[int, list[str] | None]]:
        """Each row's line and cells, None where they cannot be told apart; without those that are all blank."""
        begins = self._reader.line_num + 1
        while True:
            line = begins
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except UnicodeError as error:
                raise unreadable(self._path, self._reader.line_num + 1, str(error)) from None
            except csv.Error as error:
                begins = self._reader.line_num + 1
                if self._lines.ended or begins - line != 1:  # a quote that is open somewhere: nobody knows where
                    raise unreadable(self._path, line, str(error)) from None
                yield line, None
                continue
            begins = self._reader.line_num + 1
            if any(map(str.strip, cells)):
                yield line, cells

    def rows(self) -> Iterator[Row | Unusable]:
        """Every row that is not blank, checked."""
        for line, cells in self.records():
            if cells is None:
                yield Unusable(line, [self._lines.last.rstrip("\r\n")], "quotes within a cell must stand twice")
                continue
            try:
                yield self._row(line, cells)
            except RequestError as error:
                yield Unusable(line, cells, str(error))

    def _header(self) -> list[str]:
        try:
            return next(self._reader, [])
        except (UnicodeError, csv.Error) as error:
            raise unreadable(self._path, 1, str(error)) from None

    def _row(self, line: int, cells: list[str]) -> Row:
        if len(cells) != self._targets.columns:
            raise RequestError(f"{len(cells)} cells where the header has {self._targets.columns}")
        said, attributes = self._targets.said(cells)
        status = said.pop("status", "active")
        if status not in STATUSES:
            raise RequestError(f"unknown status {status!r:.60}{did_you_mean(status, STATUSES)}")
        tags = said.pop("tags", None)
        person: dict[str, Any] = {"key": None, **said, "attributes": attributes}
        if tags is not None:
            person["tags"] = texts.tags(tags)
        described = describe(person, allow_test=self._allow_test, region=self._region)
        change = described.change
        assert change is not None, "a description with attributes is a change"
        if status == INACTIVE:
            return Row(line, cells, replace(change, active=False))
        reason = STATUSES[status]
        return Row(line, cells, change, None if reason is None else _suppression(change, status, reason))


class _Lines:
    """The lines of a file; the last one that was read, and whether the file has ended."""

    def __init__(self, file: TextIO) -> None:
        self._each = lines(file)
        self.last, self.ended = "", False

    def __iter__(self) -> Iterator[str]:
        for line in self._each:
            self.last = line
            yield line
        self.ended = True


class _Targets:
    """Where the cells of a row go: to fields, and to attributes, each by the number of its column."""

    def __init__(self, meanings: Sequence[Meanings]) -> None:
        each = [(number, name) for number, names in enumerate(meanings) for name in names]
        self.columns = len(meanings)
        self._fields = [(number, name) for number, name in each if name in FIELDS]
        self._attributes = [(number, name.removeprefix(ATTRIBUTE)) for number, name in each if name not in FIELDS]

    def said(self, cells: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """What a row says of the fields, and of attributes; an empty cell says nothing."""
        said = [texts.plain(cell) if cell else "" for cell in cells]
        fields = {name: text for number, name in self._fields if (text := said[number])}
        return fields, {name: text for number, name in self._attributes if (text := said[number])}


def _suppression(change: Change, status: str, reason: str) -> Suppression:
    address = change.addresses.get(Channel.EMAIL)
    if address is None:
        raise RequestError(f"status {status!r}, but no address that could be suppressed")
    return Suppression(Channel.EMAIL, Address(Channel.EMAIL, address).folded, reason, "roster")
