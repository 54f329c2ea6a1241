"""The people who are written to, and what stands against it."""

from __future__ import annotations

import sqlalchemy as sa

from notify.model import Channel, ConsentAction
from notify.store.tables.columns import Json, implied, key, metadata, one_of, tenant, text, time

tenants = sa.Table(
    "tenants",
    metadata,
    key(),
    text("key"),
    time("created_at"),
    sa.Column("preferences", Json, nullable=False, server_default="{}"),  # of who chose nothing
    sa.UniqueConstraint("key"),
)

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
    sa.Column("preferences", Json, nullable=False, server_default="{}"),
    sa.Column("overrides", Json, nullable=False, server_default="[]"),  # fields set by hand: imports leave them
    time("deactivated_at", nullable=True),
    time("erased_at", nullable=True),
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
    sa.Column("is_primary", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.true()),
    time("verified_at", nullable=True),
    # 0, but of addresses that several recipients had before each had to have their own
    sa.Column("twin", sa.Integer, nullable=False, server_default="0"),
    one_of("channel", Channel),
    sa.UniqueConstraint("recipient_id", "channel", "folded"),
    sa.UniqueConstraint("tenant_id", "channel", "folded", "twin"),
    sa.Index(
        "addresses_primary_key",
        "recipient_id",
        "channel",
        unique=True,
        sqlite_where=sa.text("is_primary"),
        postgresql_where=sa.text("is_primary"),
    ),
)

recipient_changes = sa.Table(
    "recipient_changes",
    metadata,
    key(),
    tenant(),
    implied("recipient_id"),
    time("at"),
    text("actor"),
    text("source"),
    text("reason", nullable=True),
    sa.Column("changes", Json, nullable=False),  # by field: before and after
    sa.Index(None, "recipient_id"),
)

IS_TOMBSTONE = sa.text("substr(address, 1, 5) = 'hmac:'")
"""What stands in the place of an erased person's address (`store/tombstones.py`)."""

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
    text("note", nullable=True),
    one_of("channel", Channel),
    sa.UniqueConstraint("tenant_id", "channel", "address", "scope", "reason"),
    # whether a tenant has any: most have none, and then no address is looked up twice
    sa.Index(
        "suppressions_tombstones_idx",
        "tenant_id",
        "channel",
        sqlite_where=IS_TOMBSTONE,
        postgresql_where=IS_TOMBSTONE,
    ),
)

consents = sa.Table(
    "consents",
    metadata,
    key(),
    tenant(),
    sa.Column("number", sa.BigInteger, nullable=False),  # in the tenant's chain
    implied("recipient_id"),
    text("category"),
    text("action"),
    text("source"),
    text("wording"),
    sa.Column("proof", Json, nullable=True),  # goes when the person is erased; its digest stays
    text("proof_digest", nullable=True),
    text("previous"),
    text("digest"),
    time("at"),
    one_of("action", ConsentAction),
    sa.UniqueConstraint("tenant_id", "number"),
    sa.Index(None, "recipient_id", "category"),
)

segments = sa.Table(
    "segments",
    metadata,
    key(),
    tenant(),
    text("name"),
    text("expression"),
    time("created_at"),
    time("updated_at"),
    sa.UniqueConstraint("tenant_id", "name"),
)
