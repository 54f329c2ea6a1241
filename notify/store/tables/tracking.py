"""Where the links of tracked mails lead, and what recipients did after they followed one."""

from __future__ import annotations

import sqlalchemy as sa

from notify.store.tables.columns import implied, key, metadata, tenant, text, time

tracked_links = sa.Table(
    "tracked_links",
    metadata,
    key(),  # made of tenant and address: whoever has the address knows the id
    tenant(),
    implied("recipient_id", nullable=True),  # in whose mails alone it stands; null: in several people's
    text("url"),
    time("created_at"),
    time("used_at"),  # when a mail last had it, to a day
    sa.Index(None, "used_at"),
    sa.Index(None, "recipient_id"),
)

conversions = sa.Table(
    "conversions",
    metadata,
    key(),
    tenant(),
    implied("recipient_id"),
    text("name"),
    text("key"),  # by which the application knows it: the same is recorded once
    sa.Column("value", sa.Float, nullable=True),
    time("at"),
    time("clicked_since"),  # it belongs to their last click from then until `at`
    time("recorded_at"),
    sa.UniqueConstraint("tenant_id", "key"),
    sa.Index(None, "recipient_id"),
    sa.Index(None, "tenant_id", "at"),
)
