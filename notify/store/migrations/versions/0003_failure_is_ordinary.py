"""Several providers, deadlines, dead letters and their replay, pauses and alerts.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ADDED = {
    "notifications": ["expires_at"],
    "batches": ["reason", "rule", "expires_at", "as_was"],
    "messages": ["forgiven"],
    "attempts": ["passed_over"],
}
BURY = """
    INSERT INTO dead_letters (id, tenant_id, message_id, kind, channel, error, reason, detail, fingerprint, died_at)
    SELECT m.id, m.tenant_id, m.id, n.kind, m.channel, 'transient', coalesce(m.reason, 'unknown'), m.rule,
           n.kind || ' ' || coalesce(m.reason, 'unknown'), m.updated_at
    FROM messages m JOIN notifications n ON n.id = m.notification_id WHERE m.state = 'dead'
"""  # those that died under an earlier version, one cause for each kind and reason
RUNNING = sa.text("state = 'running'")
WAITING = sa.text("state = 'ready' AND published_at IS NULL")


def upgrade() -> None:
    op.add_column("notifications", sa.Column("expires_at", TIME, nullable=True))
    op.add_column("batches", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("rule", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("expires_at", TIME, nullable=True))
    op.add_column("batches", sa.Column("as_was", sa.Boolean(), server_default=sa.false(), nullable=False))
    whose_turn = ["tenant_id", "channel", "lane", "due_at"]
    op.create_index("batches_waiting_idx", "batches", whose_turn, sqlite_where=WAITING, postgresql_where=WAITING)
    op.add_column("messages", sa.Column("forgiven", sa.Integer(), server_default="0", nullable=False))
    op.add_column("attempts", sa.Column("passed_over", sa.Text(), nullable=True))
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("died_at", TIME, nullable=False),
        _tenant("dead_letters"),
        _message("dead_letters"),
        sa.PrimaryKeyConstraint("id", name=op.f("dead_letters_pkey")),
        sa.UniqueConstraint("message_id", name=op.f("dead_letters_message_id_key")),
    )
    op.create_index("dead_letters_tenant_id_id_idx", "dead_letters", ["tenant_id", "id"])
    op.create_index("dead_letters_tenant_id_died_at_idx", "dead_letters", ["tenant_id", "died_at"])
    op.execute(BURY)
    op.create_index("dead_letters_tenant_id_fingerprint_idx", "dead_letters", ["tenant_id", "fingerprint"])
    op.create_table(
        "kept_mails",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("template_version", sa.Text(), nullable=False),
        sa.Column("rendered_at", TIME, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _tenant("kept_mails"),
        _message("kept_mails"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("kept_mails_pkey")),
    )
    op.create_table(
        "replays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("filter", JSON, nullable=False),
        sa.Column("as_was", sa.Boolean(), nullable=False),
        sa.Column("possibly_sent", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Uuid(), nullable=False),
        sa.Column("up_to", sa.Uuid(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("replayed", sa.Integer(), nullable=False),
        sa.Column("passed_over", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("state IN ('running', 'done', 'cancelled')", name=op.f("replays_state_check")),
        _tenant("replays"),
        sa.PrimaryKeyConstraint("id", name=op.f("replays_pkey")),
    )
    op.create_index("replays_running_idx", "replays", ["updated_at"], sqlite_where=RUNNING, postgresql_where=RUNNING)
    op.create_table(
        "provider_pauses",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("paused_at", TIME, nullable=False),
        _tenant("provider_pauses"),
        sa.PrimaryKeyConstraint("name", name=op.f("provider_pauses_pkey")),
    )
    op.create_table(
        "alerts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("fired_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("told_at", TIME, nullable=True),
        sa.Column("cleared_at", TIME, nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("told", JSON, nullable=False),
        sa.Column("telling_until", TIME, nullable=True),
        sa.CheckConstraint("state IN ('pending', 'firing', 'cleared')", name=op.f("alerts_state_check")),
        _tenant("alerts"),
        sa.PrimaryKeyConstraint("name", name=op.f("alerts_pkey")),
    )


def downgrade() -> None:
    op.drop_index("batches_waiting_idx", "batches")
    for table in ("alerts", "provider_pauses", "replays", "kept_mails", "dead_letters"):
        op.drop_table(table)
    for table, columns in ADDED.items():
        for column in columns:
            op.drop_column(table, column)


def _tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"{table}_tenant_id_fkey"))


def _message(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["message_id"], ["messages.id"], name=op.f(f"{table}_message_id_fkey"), ondelete="CASCADE"
    )
