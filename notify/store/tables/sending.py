"""What is sent: notifications, their messages, the batches that carry them, and every try."""

from __future__ import annotations

import sqlalchemy as sa

from notify.model import BatchState, BounceClass, Channel, EventType, FanOutState, Lane, MessageState, Mode, Outcome
from notify.store.tables.columns import Json, implied, key, metadata, one_of, tenant, text, time

notifications = sa.Table(
    "notifications",
    metadata,
    key(),
    tenant(),
    text("kind"),
    text("mode"),
    text("idempotency_key", nullable=True),
    text("request_hash"),
    sa.Column("data", Json, nullable=False),
    text("correlation_id", nullable=True),
    time("at", nullable=True),
    time("created_at"),
    time("expires_at", nullable=True),
    text("cancellation_key", nullable=True),
    text("at_local", nullable=True),  # 2026-03-29T09:00: the wall clock of each recipient
    time("cancelled_at", nullable=True),
    text("paused", nullable=True),  # why what waits of it waits on, but for critical lanes
    one_of("mode", Mode),
    sa.UniqueConstraint("tenant_id", "idempotency_key"),
    sa.Index(
        "notifications_cancellation_key_idx",
        "tenant_id",
        "cancellation_key",
        sqlite_where=sa.text("cancellation_key IS NOT NULL"),
        postgresql_where=sa.text("cancellation_key IS NOT NULL"),
    ),
)

attachments = sa.Table(
    "attachments",
    metadata,
    key(),
    tenant(),
    sa.Column("notification_id", sa.Uuid, sa.ForeignKey("notifications.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    text("name"),
    text("content_type"),
    text("inline", nullable=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("notification_id", "position"),
)

batches = sa.Table(
    "batches",
    metadata,
    key(),
    tenant(),
    text("channel"),
    text("lane"),
    text("state"),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    time("due_at"),
    time("lease_until", nullable=True),
    time("published_at", nullable=True),
    text("worker", nullable=True),
    time("created_at"),
    time("finished_at", nullable=True),
    text("reason", nullable=True),  # why it waits as a whole: its messages are not written to
    text("rule", nullable=True),
    time("expires_at", nullable=True),  # the earliest deadline of what waits in it
    sa.Column("as_was", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()),
    one_of("channel", Channel),
    one_of("lane", Lane),
    one_of("state", BatchState),
    # whose turn is next: what is due and was not rung for yet
    sa.Index(
        "batches_waiting_idx",
        "tenant_id",
        "channel",
        "lane",
        "due_at",
        sqlite_where=sa.text("state = 'ready' AND published_at IS NULL"),
        postgresql_where=sa.text("state = 'ready' AND published_at IS NULL"),
    ),
    # the relay's three questions: what is due, what was never claimed, whose lease ran out
    sa.Index(
        "batches_ready_idx",
        "due_at",
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    ),
    sa.Index(
        "batches_leased_idx",
        "lease_until",
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    ),
)

fan_outs = sa.Table(
    "fan_outs",
    metadata,
    sa.Column("notification_id", sa.Uuid, sa.ForeignKey("notifications.id"), primary_key=True),
    tenant(),
    sa.Column("tags", Json, nullable=False),
    sa.Column("channels", Json, nullable=False),
    text("state"),
    text("cursor"),
    sa.Column("recipients", sa.Integer, nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
    time("created_at"),
    time("updated_at"),
    text("segment", nullable=True),  # an expression
    one_of("state", FanOutState),
    sa.Index(
        "fan_outs_planning_idx",
        "updated_at",
        sqlite_where=sa.text("state = 'planning'"),
        postgresql_where=sa.text("state = 'planning'"),
    ),
)

messages = sa.Table(
    "messages",
    metadata,
    key(),
    implied("tenant_id"),
    implied("notification_id"),
    sa.Column("recipient_id", sa.Uuid, sa.ForeignKey("recipients.id"), nullable=False),
    implied("batch_id", nullable=True),
    text("channel"),
    text("address", nullable=True),
    text("state"),
    text("reason", nullable=True),
    text("rule", nullable=True),
    sa.Column("data", Json, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    time("due_at"),
    time("created_at"),
    time("updated_at"),
    time("sent_at", nullable=True),
    sa.Column("forgiven", sa.Integer, nullable=False, server_default="0"),  # attempts before its last replay
    implied("consent_id", nullable=True),  # what covered it, where its kind asks for consent
    one_of("channel", Channel),
    one_of("state", MessageState),
    sa.UniqueConstraint("notification_id", "recipient_id", "channel"),
    sa.Index(None, "batch_id"),
    sa.Index(None, "recipient_id"),
    postgresql_with={"fillfactor": 50},  # a batch changes all the rows of its pages in one transaction
)

NAMED_BY_A_SERVICE = sa.text("length(provider_id) > 16")
"""Services report under their own names of messages, which are long; the queue names of mail servers are short."""

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Uuid, nullable=False),
    implied("tenant_id"),
    implied("message_id"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    text("outcome"),
    text("provider", nullable=True),
    text("provider_id", nullable=True),
    text("reason", nullable=True),
    text("response", nullable=True),
    text("subject", nullable=True),
    text("header_id", nullable=True),
    text("template_version", nullable=True),
    time("rendered_at", nullable=True),
    time("at"),
    text("passed_over", nullable=True),  # the providers before this one, and why not they
    one_of("outcome", Outcome),
    sa.PrimaryKeyConstraint("message_id", "id"),  # one index serves both: nobody asks for an attempt by its id alone
    sa.Index(
        "attempts_provider_id_idx",
        "provider_id",
        sqlite_where=NAMED_BY_A_SERVICE,
        postgresql_where=NAMED_BY_A_SERVICE,
    ),
)

COUNTED = sa.text("type IN ('bounced', 'complained')")
READ = sa.text("type IN ('opened', 'clicked')")

events = sa.Table(
    "events",
    metadata,
    key(),
    tenant(),
    implied("message_id", nullable=True),
    implied("recipient_id", nullable=True),
    text("type"),
    text("bounce", nullable=True),
    text("provider"),
    text("provider_event_id"),
    text("address", nullable=True),
    text("status", nullable=True),  # RFC 3463
    text("diagnostic", nullable=True),
    sa.Column("bot", sa.Boolean(create_constraint=False), nullable=False, server_default=sa.false()),
    sa.Column("detail", Json, nullable=False),
    time("at"),
    time("received_at"),
    # what it was said to be of, while that is not known here
    implied("claimed_id", nullable=True),
    text("header_id", nullable=True),
    text("provider_message_id", nullable=True),
    time("look_at", nullable=True),  # parked: when its message is looked for again
    sa.Column("looks", sa.Integer, nullable=False, server_default="0"),  # and how often it was
    one_of("type", EventType),
    sa.CheckConstraint(f"bounce IS NULL OR {one_of('bounce', BounceClass).sqltext}", name="bounce"),
    sa.UniqueConstraint("tenant_id", "provider", "provider_event_id"),
    sa.Index(None, "message_id"),
    sa.Index(None, "recipient_id", "type", "at"),
    sa.Index(
        "events_parked_idx",
        "look_at",
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    ),
    # what the guard counts: few beside deliveries and opens
    sa.Index("events_bad_idx", "received_at", sqlite_where=COUNTED, postgresql_where=COUNTED),
    # what the figures of tracking count, beside deliveries
    sa.Index("events_read_idx", "at", sqlite_where=READ, postgresql_where=READ),
)
