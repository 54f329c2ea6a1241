"""The tables. Every one has a tenant, every state a CHECK, every hot query an index.

`notify/store/migrations` builds the same; a test compares the two.

A mailout writes each message once and changes it twice, so these rows are kept cheap. No index of messages holds a
column that sending changes, and half of each page is left free: PostgreSQL then updates in place (heap-only tuples).
Foreign keys that every writer keeps by itself are left out, for each costs as much as an index.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from notify.model import AlertState, BatchState, Channel, FanOutState, Lane, MessageState, Mode, Outcome, ReplayState


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Aware datetimes in UTC on both databases; a naive one is a bug and is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: times in the store are aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = sa.JSON().with_variant(JSONB(), "postgresql")

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def _tenant() -> sa.Column[Any]:
    return sa.Column("tenant_id", sa.Uuid, sa.ForeignKey("tenants.id"), nullable=False)


def _implied(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """The id of a row that the writer holds in the same transaction: the database does not look it up again."""
    return sa.Column(name, sa.Uuid, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, UtcDateTime, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def one_of(column: str, words: type[StrEnum] | Iterable[str]) -> sa.CheckConstraint:
    """CHECK that `column` holds one of the enum's words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


tenants = sa.Table("tenants", metadata, _id(), _text("key"), _time("created_at"), sa.UniqueConstraint("key"))

recipients = sa.Table(
    "recipients",
    metadata,
    _id(),
    _tenant(),
    _text("key"),
    _text("locale", nullable=True),
    _text("timezone", nullable=True),
    sa.Column("attributes", Json, nullable=False),
    sa.Column("tags", Json, nullable=False),
    _time("created_at"),
    _time("updated_at"),
    sa.UniqueConstraint("tenant_id", "key"),
)

addresses = sa.Table(
    "addresses",
    metadata,
    _id(),
    _tenant(),
    sa.Column("recipient_id", sa.Uuid, sa.ForeignKey("recipients.id", ondelete="CASCADE"), nullable=False),
    _text("channel"),
    _text("value"),
    _text("folded"),
    sa.Column("verified", sa.Boolean(create_constraint=False), nullable=False),
    _time("created_at"),
    one_of("channel", Channel),
    sa.UniqueConstraint("recipient_id", "channel"),
    sa.Index(None, "tenant_id", "channel", "folded"),
)

notifications = sa.Table(
    "notifications",
    metadata,
    _id(),
    _tenant(),
    _text("kind"),
    _text("mode"),
    _text("idempotency_key", nullable=True),
    _text("request_hash"),
    sa.Column("data", Json, nullable=False),
    _text("correlation_id", nullable=True),
    _time("at", nullable=True),
    _time("created_at"),
    _time("expires_at", nullable=True),
    one_of("mode", Mode),
    sa.UniqueConstraint("tenant_id", "idempotency_key"),
)

attachments = sa.Table(
    "attachments",
    metadata,
    _id(),
    _tenant(),
    sa.Column("notification_id", sa.Uuid, sa.ForeignKey("notifications.id", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    _text("name"),
    _text("content_type"),
    _text("inline", nullable=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("notification_id", "position"),
)

batches = sa.Table(
    "batches",
    metadata,
    _id(),
    _tenant(),
    _text("channel"),
    _text("lane"),
    _text("state"),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    _time("due_at"),
    _time("lease_until", nullable=True),
    _time("published_at", nullable=True),
    _text("worker", nullable=True),
    _time("created_at"),
    _time("finished_at", nullable=True),
    _text("reason", nullable=True),  # why it waits as a whole: its messages are not written to
    _text("rule", nullable=True),
    _time("expires_at", nullable=True),  # the earliest deadline of what waits in it
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
    _tenant(),
    sa.Column("tags", Json, nullable=False),
    sa.Column("channels", Json, nullable=False),
    _text("state"),
    _text("cursor"),
    sa.Column("recipients", sa.Integer, nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
    _time("created_at"),
    _time("updated_at"),
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
    _id(),
    _implied("tenant_id"),
    _implied("notification_id"),
    sa.Column("recipient_id", sa.Uuid, sa.ForeignKey("recipients.id"), nullable=False),
    _implied("batch_id", nullable=True),
    _text("channel"),
    _text("address", nullable=True),
    _text("state"),
    _text("reason", nullable=True),
    _text("rule", nullable=True),
    sa.Column("data", Json, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    _time("due_at"),
    _time("created_at"),
    _time("updated_at"),
    _time("sent_at", nullable=True),
    sa.Column("forgiven", sa.Integer, nullable=False, server_default="0"),  # attempts before its last replay
    one_of("channel", Channel),
    one_of("state", MessageState),
    sa.UniqueConstraint("notification_id", "recipient_id", "channel"),
    sa.Index(None, "batch_id"),
    sa.Index(None, "recipient_id"),
    postgresql_with={"fillfactor": 50},  # a batch changes all the rows of its pages in one transaction
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Uuid, nullable=False),
    _implied("tenant_id"),
    _implied("message_id"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    _text("outcome"),
    _text("provider", nullable=True),
    _text("provider_id", nullable=True),
    _text("reason", nullable=True),
    _text("response", nullable=True),
    _text("subject", nullable=True),
    _text("header_id", nullable=True),
    _text("template_version", nullable=True),
    _time("rendered_at", nullable=True),
    _time("at"),
    _text("passed_over", nullable=True),  # the providers before this one, and why not they
    one_of("outcome", Outcome),
    sa.PrimaryKeyConstraint("message_id", "id"),  # one index serves both: nobody asks for an attempt by its id alone
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    _id(),
    _tenant(),
    _text("channel"),
    _text("address"),
    _text("scope"),
    _text("reason"),
    _text("source"),
    _time("created_at"),
    _time("expires_at", nullable=True),
    one_of("channel", Channel),
    sa.UniqueConstraint("tenant_id", "channel", "address", "scope"),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    _id(),
    _tenant(),
    sa.Column("message_id", sa.Uuid, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=True),
    _text("kind", nullable=True),
    _text("channel", nullable=True),
    _text("provider", nullable=True),
    _text("error"),
    _text("reason"),
    _text("detail", nullable=True),
    _text("fingerprint"),
    _text("payload", nullable=True),  # of a task that could not even run
    _time("died_at"),
    sa.UniqueConstraint("message_id"),
    sa.Index(None, "tenant_id", "id"),  # page by page: SQLite would sort all of them for each page
    sa.Index(None, "tenant_id", "died_at"),
    sa.Index(None, "tenant_id", "fingerprint"),
)

kept_mails = sa.Table(
    "kept_mails",
    metadata,
    sa.Column(
        "message_id", sa.Uuid, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    _tenant(),
    _text("sender"),
    _text("subject"),
    _text("template_version"),
    _time("rendered_at"),
    sa.Column("content", sa.LargeBinary, nullable=False),  # zlib
)

replays = sa.Table(
    "replays",
    metadata,
    _id(),
    _tenant(),
    _text("actor"),
    sa.Column("filter", Json, nullable=False),
    sa.Column("as_was", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("possibly_sent", sa.Boolean(create_constraint=False), nullable=False),
    _text("state"),
    sa.Column("cursor", sa.Uuid, nullable=False),
    sa.Column("up_to", sa.Uuid, nullable=False),  # what dies after it began is not meant
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("replayed", sa.Integer, nullable=False),
    sa.Column("passed_over", Json, nullable=False),  # how many for each reason
    _time("created_at"),
    _time("updated_at"),
    one_of("state", ReplayState),
    sa.Index(
        "replays_running_idx",
        "updated_at",
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    ),
)

provider_pauses = sa.Table(
    "provider_pauses",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _tenant(),
    _text("digest"),
    _text("reason"),
    _text("response", nullable=True),
    _text("actor"),
    _time("paused_at"),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _tenant(),
    _text("state"),
    _text("severity"),
    _text("summary"),
    _time("fired_at"),
    _time("seen_at"),
    _time("told_at", nullable=True),
    _time("cleared_at", nullable=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("told", Json, nullable=False),  # what each sink was last told
    _time("telling_until", nullable=True),  # a lease: while one process tells, no other does
    one_of("state", AlertState),
)

audit = sa.Table(
    "audit",
    metadata,
    _id(),
    _tenant(),
    _text("actor"),
    _text("action"),
    _text("subject"),
    sa.Column("detail", Json, nullable=False),
    _time("at"),
    sa.Index(None, "tenant_id", "at"),
)

schedule_claims = sa.Table(
    "schedule_claims",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _tenant(),
    sa.Column("slot", sa.BigInteger, nullable=False),
    _time("claimed_at"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _tenant(),
    _text("queues"),
    _time("started_at"),
    _time("seen_at"),
)
