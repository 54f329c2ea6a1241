"""Everything that is kept of one person, as one JSON document: each row of each table that tells of them."""

from __future__ import annotations

import base64
import zlib
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from notify.app import App
from notify.errors import NotFound
from notify.store import audit, persons, tenants

FORMAT = "notify-person/1"


def export_person(app: App, key: str, *, actor: str, tenant: str | None = None) -> dict[str, Any]:
    """All that is known of the person with this key; the export itself is audited. Raises `NotFound`.

    Rows stand under the names of their tables, values as JSON: times in ISO 8601 (UTC), octets in Base64. `segments`
    names the saved ones that have their key or an address of theirs.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        person = persons.find(connection, tenant_id, key)
        if person is None:
            raise NotFound(f"no recipient {key!r:.80}; `notify recipients list` shows them")
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for table, row in persons.rows(connection, person, app.settings.secrets):
            found[table].append({name: _json(table, name, value) for name, value in row.items()})
        named = persons.segments_naming(connection, person)
        audit.write(
            connection, tenant_id, actor=actor, action="recipients.export_person", subject=key, detail={}, at=now
        )
    about = {"format": FORMAT, "key": key, "exported_at": now.isoformat()}
    return {**about, "tables": dict(found), "segments": named}


def _json(table: str, name: str, value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        octets = zlib.decompress(value) if (table, name) == ("kept_mails", "content") else value
        return base64.b64encode(octets).decode("ascii")
    return value
