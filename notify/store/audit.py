"""Every change made by a person leaves a row here; rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.store.tables import audit


def write(
    connection: sa.Connection,
    tenant_id: UUID,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    at: datetime,
) -> None:
    """Note that `actor` did `action` to `subject`."""
    row = {"id": uuid7(), "tenant_id": tenant_id, "actor": actor, "action": action, "subject": subject}
    connection.execute(sa.insert(audit), {**row, "detail": dict(detail), "at": at})
