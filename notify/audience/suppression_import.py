"""A provider's list of suppressions goes in: again and again to the same result, and each row that does not is named.

Every slice of a thousand rows is a transaction: memory does not grow with the file, and what was read before a
mistake stays. Importing once more changes nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TextIO
from uuid import UUID

from notify.app import App
from notify.audience import suppressing, suppression_lists
from notify.audience.suppression_lists import COLUMNS, PassedOver
from notify.errors import RequestError
from notify.model import Suppression
from notify.store import audit, suppressions, tenants
from notify.telemetry import emit

AT_ONCE = 1000
SHOWN = 1000  # so many lines are told of each sort; the rest is counted
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # OWASP, "CSV Injection"; an apostrophe, so that it is one of two


@dataclass(frozen=True, slots=True)
class Line:
    """A row that suppresses nobody. `line` is where it begins in the file, the first being 1."""

    line: int
    reason: str


@dataclass(slots=True)
class Imported:
    """What an import did: rows that suppressed more than before, rows that changed nothing, and all others."""

    added: int = 0
    unchanged: int = 0
    passed_over: int = 0
    refused: int = 0
    lines_passed_over: list[Line] = field(default_factory=list)
    lines_refused: list[Line] = field(default_factory=list)


def import_list(
    app: App, path: Path, *, actor: str, form: str | None = None, scope: str | None = None, tenant: str | None = None
) -> Imported:
    """Suppress what the list at `path` names.

    `form` names the list where its columns do not tell, `scope` a category where it is not for everything; a scope
    that the list itself names is kept whatever it is. Raises `OperatorError` when the file cannot be read, and
    `InvalidSuppression` for an unknown `form` or `scope`.
    """
    if scope is not None:
        suppressing.known_scope(app, scope)
    result = Imported()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
    read = suppression_lists.read(path, lambda channel, address: suppressing.folded(app, channel, address), form)
    wanted = _wanted(read, scope, result)
    try:
        while part := list(islice(wanted, AT_ONCE)):
            with app.store.begin() as connection:
                made = suppressions.add(connection, tenant_id, part, app.clock.now())
            result.added += made
            result.unchanged += len(part) - made
    finally:
        _note(app, tenant_id, path, result, actor)
    return result


def _wanted(
    read: Iterator[tuple[int, Suppression | PassedOver | RequestError]], scope: str | None, result: Imported
) -> Iterator[Suppression]:
    for line, one in read:
        if isinstance(one, Suppression):
            yield one if scope is None else _scoped(one, scope)
        elif isinstance(one, PassedOver):
            result.passed_over += 1
            if len(result.lines_passed_over) < SHOWN:
                result.lines_passed_over.append(Line(line, one.reason))
        else:
            result.refused += 1
            if len(result.lines_refused) < SHOWN:
                result.lines_refused.append(Line(line, str(one)))


def _scoped(row: Suppression, scope: str) -> Suppression:
    return Suppression(row.channel, row.address, row.reason, row.source, scope, row.expires_at, row.note, row.since)


def _note(app: App, tenant_id: UUID, path: Path, result: Imported, actor: str) -> None:
    counts = {name: getattr(result, name) for name in ("added", "unchanged", "passed_over", "refused")}
    with app.store.begin() as connection:
        audit.write(
            connection,
            tenant_id,
            actor=actor,
            action="suppressions.import",
            subject=path.name,
            detail=counts,
            at=app.clock.now(),
        )
    emit("suppressions.imported", file=path.name, **counts)


def export(app: App, file: TextIO, *, tenant: str | None = None) -> int:
    """Write every suppression as CSV that `import_list` reads; returns how many.

    What a spreadsheet would take for a formula has an apostrophe before it.
    """
    writer, count = csv.writer(file), 0
    writer.writerow(COLUMNS)
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        for kept in suppressions.everything(connection, tenant_id):
            row = suppressing.as_json(kept.suppression)
            writer.writerow([_harmless(row[name]) for name in COLUMNS])
            count += 1
    return count


def _harmless(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(FORMULA) else text
