"""The people who are written to, and what stands against it."""

from __future__ import annotations

import sqlalchemy as sa

from notify.model import Channel
from notify.store.tables.columns import Json, key, metadata, one_of, tenant, text, time

tenants = sa.Table("tenants", metadata, key(), text("key"), time("created_at"), sa.UniqueConstraint("key"))

recipients = sa.Table(
    "recipients",
    metadata,
    key(),
    tenant(),
    text("key"),
    text("locale", nullable=True),
    text("timezone", nullable=True),
    sa.Column("attributes", Json, nullable=False),
    sa.Column("tags", Json, nullable=False),
    time("created_at"),
    time("updated_at"),
    sa.UniqueConstraint("tenant_id", "key"),
)

addresses = sa.Table(
    "addresses",
    metadata,
    key(),
    tenant(),
    sa.Column("recipient_id", sa.Uuid, sa.ForeignKey("recipients.id", ondelete="CASCADE"), nullable=False),
    text("channel"),
    text("value"),
    text("folded"),
    sa.Column("verified", sa.Boolean(create_constraint=False), nullable=False),
    time("created_at"),
    one_of("channel", Channel),
    sa.UniqueConstraint("recipient_id", "channel"),
    sa.Index(None, "tenant_id", "channel", "folded"),
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    key(),
    tenant(),
    text("channel"),
    text("address"),
    text("scope"),
    text("reason"),
    text("source"),
    time("created_at"),
    time("expires_at", nullable=True),
    one_of("channel", Channel),
    sa.UniqueConstraint("tenant_id", "channel", "address", "scope"),
)
