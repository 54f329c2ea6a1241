"""Somebody who was written to, and the links of the mail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

import notify
from notify.app import App, using
from notify.audience import links
from notify.model import Author, Consent, MessageState, Source
from notify.store import messages, tables, tenants

BY = Author("test", Source.PYTHON)
WORDING = "Yes, send me the newsletter once a month."
ADA: Mapping[str, Any] = {"key": "ada", "email": "Ada@Example.org"}


def written_to(app: App, kind: str, to: Any = ADA) -> tuple[UUID, UUID]:
    """Send `kind`; the ids of its message and recipient."""
    with using(app):
        sent = notify.send(kind, to=to)
    with app.store.read() as connection:
        rows = messages.listing(connection, tenants.DEFAULT_ID)
    return next((r.message.id, r.message.recipient_id) for r in rows if r.message.notification_id == sent.id)


def unsubscribe_path(app: App, kind: str = "news", to: Any = ADA) -> str:
    """`/unsubscribe?token=…` of a new mail of `kind`."""
    return f"/unsubscribe?token={links.sign(app, 'unsubscribe', *written_to(app, kind, to))}"


def reaches(app: App, kind: str, to: Any = "ada") -> bool:
    """Whether a new notification of `kind` would go out."""
    with using(app):
        sent = notify.send(kind, to=to)
    with app.store.read() as connection:
        rows = messages.listing(connection, tenants.DEFAULT_ID)
    states = {r.message.state for r in rows if r.message.notification_id == sent.id}
    assert states <= {MessageState.QUEUED, MessageState.SKIPPED}
    return states == {MessageState.QUEUED}


def rows(app: App, table: sa.Table) -> list[Any]:
    """All rows of a table."""
    with app.store.read() as connection:
        return list(connection.execute(sa.select(table)).all())


def suppressed(app: App) -> list[tuple[str, str, str, str]]:
    """Address, scope, reason and source of every suppression, in order."""
    return sorted((row.address, row.scope, row.reason, row.source) for row in rows(app, tables.suppressions))


def headings(html: str) -> list[str]:
    """The headings of a page."""
    return [re.sub(r"<[^>]+>", "", found).strip() for found in re.findall(r"<h1>(.*?)</h1>", html, re.DOTALL)]


def confirm_path(app: App, asked: Consent, **times: timedelta) -> str:
    until = app.clock.now() + times.get("left", timedelta(days=1))
    return f"/confirm?token={links.sign(app, 'confirm', asked.id, expires=until)}"


def verify_path(app: App) -> str:
    [address] = rows(app, tables.addresses)
    until = app.clock.now() + timedelta(days=1)
    return f"/verify?token={links.sign(app, 'verify', address.id, expires=until)}"
