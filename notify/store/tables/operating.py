"""What operators deal with: what died, is paused, or told of; who did what, and what is running."""

from __future__ import annotations

import sqlalchemy as sa

from notify.model import AlertState, ReplayState
from notify.store.tables.columns import Json, key, metadata, one_of, tenant, text, time

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    key(),
    tenant(),
    sa.Column("message_id", sa.Uuid, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=True),
    text("kind", nullable=True),
    text("channel", nullable=True),
    text("provider", nullable=True),
    text("error"),
    text("reason"),
    text("detail", nullable=True),
    text("fingerprint"),
    text("payload", nullable=True),  # of a task that could not even run
    time("died_at"),
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
    tenant(),
    text("sender"),
    text("subject"),
    text("template_version"),
    time("rendered_at"),
    sa.Column("content", sa.LargeBinary, nullable=False),  # zlib
)

replays = sa.Table(
    "replays",
    metadata,
    key(),
    tenant(),
    text("actor"),
    sa.Column("filter", Json, nullable=False),
    sa.Column("as_was", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("possibly_sent", sa.Boolean(create_constraint=False), nullable=False),
    text("state"),
    sa.Column("cursor", sa.Uuid, nullable=False),
    sa.Column("up_to", sa.Uuid, nullable=False),  # what dies after it began is not meant
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("replayed", sa.Integer, nullable=False),
    sa.Column("passed_over", Json, nullable=False),  # how many for each reason
    time("created_at"),
    time("updated_at"),
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
    tenant(),
    text("digest"),
    text("reason"),
    text("response", nullable=True),
    text("actor"),
    time("paused_at"),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    tenant(),
    text("state"),
    text("severity"),
    text("summary"),
    time("fired_at"),
    time("seen_at"),
    time("told_at", nullable=True),
    time("cleared_at", nullable=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("told", Json, nullable=False),  # what each sink was last told
    time("telling_until", nullable=True),  # a lease: while one process tells, no other does
    one_of("state", AlertState),
)

audit = sa.Table(
    "audit",
    metadata,
    key(),
    tenant(),
    text("actor"),
    text("action"),
    text("subject"),
    sa.Column("detail", Json, nullable=False),
    time("at"),
    sa.Index(None, "tenant_id", "at"),
)

schedule_claims = sa.Table(
    "schedule_claims",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    tenant(),
    sa.Column("slot", sa.BigInteger, nullable=False),
    time("claimed_at"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    tenant(),
    text("queues"),
    time("started_at"),
    time("seen_at"),
)
