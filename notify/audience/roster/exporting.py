"""The roster goes out as CSV, or as JSON line by line; what was exported as CSV changes nothing when it is imported."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from notify.app import App
from notify.audience.roster.cells import guarded, listed, said
from notify.audience.roster.columns import column_of
from notify.audience.roster.rows import STATUSES
from notify.errors import InvalidRecipient
from notify.store import roster_pages as pages
from notify.store import tenants
from notify.store.roster_pages import Listed
from notify.store.text import line

FIELDS = ("key", "email", "phone", "name", "locale", "timezone", "tags", "status")


def export_csv(app: App, file: TextIO, *, tenant: str | None = None, tags: Sequence[str] = ()) -> int:
    """Write everyone to `file` as CSV, in the order of their keys; with `tags`, those who have any. Returns how many.

    Columns are key, email, phone (when anyone has one), name, locale, timezone, tags, status, and every attribute in
    the order of their names. A cell that a spreadsheet would take for a formula has an apostrophe before it. Raises
    `InvalidRecipient` for an unknown tenant, or what is no tag.
    """
    wanted, now, count = _tags(tags), app.clock.now(), 0
    with pages.snapshot(app.store) as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        attributes = [name for name in pages.attributes(connection, tenant_id, wanted) if name != "name"]
        fields = [name for name in FIELDS if name != "phone" or pages.has_phones(connection, tenant_id)]
        writer = csv.writer(file)
        writer.writerow(guarded(name) for name in (*fields, *map(column_of, attributes)))
        for one in pages.everyone(connection, tenant_id, now, wanted):
            row = _row(one)
            cells = [row[name] for name in fields] + [one.attributes.get(name) for name in attributes]
            writer.writerow(guarded(said(cell)) for cell in cells)
            count += 1
    return count


def export_lines(app: App, *, tenant: str | None = None, tags: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Everyone as a JSON object each, with attributes of the types they have. Raises as `export_csv`."""
    wanted, now = _tags(tags), app.clock.now()
    with pages.snapshot(app.store) as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        for one in pages.everyone(connection, tenant_id, now, wanted):
            yield {**_row(one), "tags": list(one.tags), "attributes": one.attributes}


def _row(one: Listed) -> dict[str, Any]:
    return {
        "key": one.key,
        "email": one.email,
        "phone": one.phone,
        "name": one.attributes.get("name"),
        "locale": one.locale,
        "timezone": one.timezone,
        "tags": listed(one.tags),
        "status": _status(one),
    }


def _status(one: Listed) -> str:
    """One of the words that an import knows; a suppression says more than that somebody is inactive."""
    if one.suppressed is not None:
        return one.suppressed if one.suppressed in STATUSES else "suppressed"
    return "active" if one.active else "inactive"


def _tags(tags: Sequence[str]) -> list[str]:
    return [line("a tag", tag, InvalidRecipient) for tag in tags]
