"""Rosters: a CSV of people becomes recipients; a row that cannot be used is named by line and reason, the rest goes in.

Columns: `key` and any of `email`, `name`, `locale`, `timezone`, `tags` (separated by `;`) and `status`; every other
column becomes an attribute. An empty cell says nothing and changes nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from notify.app import App
from notify.audience.description import describe
from notify.errors import OperatorError, RequestError, did_you_mean
from notify.model import Address, Author, Channel, Source, Suppression
from notify.settings import Environment
from notify.store import audit, recipients, suppressions, tenants
from notify.store.recipients import Change
from notify.telemetry import emit

AT_ONCE = 1000
FIELDS = ("email", "name", "locale", "timezone")
STATUSES = {"active": None, "unsubscribed": "unsubscribed", "bounced": "bounced", "complained": "complained"}
"""What a status means: the reason to suppress the address, or None."""

csv.field_size_limit(1_000_000)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not imported. `line` is where it begins in the file, the header being line 1."""

    line: int
    reason: str


@dataclass(slots=True)
class Imported:
    """What an import did."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    suppressed: int = 0
    refused: list[Refused] = field(default_factory=list)
    duplicates: list[Refused] = field(default_factory=list)


def import_roster(
    app: App,
    path: Path,
    *,
    actor: str,
    tenant: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Import the file at `path`; all of it in one transaction. The first row of a key counts, later ones are reported.

    `progress` hears how many of how many bytes are read. Raises `OperatorError` when the file cannot be read as CSV.
    """
    result, now, by = Imported(), app.clock.now(), Author(actor, Source.IMPORT)
    with _opened(path) as file, app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        tenants.lock(connection, tenant_id)  # rosters go one after the other: in slices, they could deadlock
        total = path.stat().st_size
        for rows in _slices(_rows(file, path, app, result)):
            written = recipients.apply(connection, tenant_id, [change for change, _ in rows], now, by=by)
            result.inserted += written.inserted
            result.updated += written.updated
            result.unchanged += written.unchanged
            forbidden = [suppression for _, suppression in rows if suppression]
            result.suppressed += suppressions.add(connection, tenant_id, forbidden, now)
            progress(min(file.buffer.tell(), total), total)
        if dry_run:
            connection.rollback()
            return result
        summary = {
            "file": path.name,
            "inserted": result.inserted,
            "updated": result.updated,
            "suppressed": result.suppressed,
            "refused": len(result.refused),
        }
        audit.write(
            connection, tenant_id, actor=actor, action="recipients.import", subject=path.name, detail=summary, at=now
        )
    emit("recipients.imported", **summary)
    return result


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}\nNext: check the path.") from None


def _rows(file: TextIO, path: Path, app: App, result: Imported) -> Iterator[tuple[Change, Suppression | None]]:
    reader = csv.reader(file, strict=True)
    allow_test = app.settings.env is Environment.DEVELOPMENT
    seen: dict[str, int] = {}
    try:
        header = _header(next(reader, []), path)
        begins = reader.line_num + 1
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            try:
                change, suppression = _row(header, cells, allow_test)
            except RequestError as error:
                result.refused.append(Refused(line, str(error)))
                continue
            if (first := seen.setdefault(change.key, line)) != line:
                result.duplicates.append(Refused(line, f"key {change.key!r} stands already in line {first}"))
                continue
            yield change, suppression
    except (UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(
            f"{path}, near line {reader.line_num + 1}: not readable as CSV in UTF-8: {error}\n"
            "Next: save it as UTF-8 with commas and straight quotes. Nothing was imported."
        ) from None


def _header(cells: Sequence[str], path: Path) -> list[str]:
    header = [cell.strip() for cell in cells]
    if "key" not in header:
        raise OperatorError(
            f"{path}, line 1: no column 'key'{did_you_mean('key', header)}; found: {', '.join(header)}\n"
            "Next: name the column that holds your application's id of the person 'key'. Nothing was imported."
        )
    doubled = next((name for name in header if not name or header.count(name) > 1), None)
    if doubled is not None:
        raise OperatorError(
            f"{path}, line 1: column {doubled!r} is empty or stands twice\n"
            "Next: name each column once. Nothing was imported."
        )
    reserved = sorted({"address", "attributes", "data"} & set(header))
    if reserved:
        raise OperatorError(
            f"{path}, line 1: a column cannot be called {reserved[0]!r}: templates know something else by that name\n"
            "Next: rename it; e-mail addresses stand in the column 'email'. Nothing was imported."
        )
    return header


def _row(header: Sequence[str], cells: Sequence[str], allow_test: bool) -> tuple[Change, Suppression | None]:
    if len(cells) != len(header):
        raise RequestError(f"{len(cells)} cells where the header has {len(header)}")
    if any("\0" in cell for cell in cells):
        raise RequestError("a NUL character, which no database stores")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    status = row.pop("status", "active")
    if status not in STATUSES:
        raise RequestError(f"unknown status {status!r}{did_you_mean(status, STATUSES)}")
    change = _change(row, allow_test)
    address = change.addresses.get(Channel.EMAIL)
    reason = STATUSES[status]
    if reason is None:
        return change, None
    if address is None:
        raise RequestError(f"status {status!r}, but no address that could be suppressed")
    folded = Address(Channel.EMAIL, address).folded
    return change, Suppression(Channel.EMAIL, folded, reason, "roster")


def _change(row: Mapping[str, str], allow_test: bool) -> Change:
    known = {"key", "tags", *FIELDS}
    described = describe(
        {
            "key": row.get("key"),
            **{name: row[name] for name in FIELDS if name in row},
            **({"tags": [tag.strip() for tag in row["tags"].split(";") if tag.strip()]} if "tags" in row else {}),
            "attributes": {name: value for name, value in row.items() if name not in known},
        },
        allow_test=allow_test,
    )
    assert described.change is not None, "a description with attributes is a change"
    return described.change


def _slices(
    rows: Iterator[tuple[Change, Suppression | None]],
) -> Iterator[list[tuple[Change, Suppression | None]]]:
    part: list[tuple[Change, Suppression | None]] = []
    for row in rows:
        part.append(row)
        if len(part) == AT_ONCE:
            yield part
            part = []
    if part:
        yield part
