"""Messages that are updated in place, fewer checks and indices for each row, and fan-outs.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
CHANNELS = "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')"
STATES = (
    "state IN ('queued', 'sending', 'sent', 'delivered', 'bounced', 'complained', 'in_doubt', 'dead', "
    "'skipped', 'cancelled')"
)
OUTCOMES = (
    "outcome IN ('accepted', 'transient', 'throttled', 'rejected', 'uncertain', 'misconfigured', "
    "'unrenderable', 'rendered')"
)
IMPLIED = {"tenant_id": "tenants", "notification_id": "notifications", "batch_id": "batches"}


def upgrade() -> None:
    # what refers to a table first: SQLite copies a table to change its keys, and drops the old one
    with op.batch_alter_table("attempts", copy_from=_attempts(before=True)) as attempts:
        attempts.drop_constraint("attempts_tenant_id_fkey", type_="foreignkey")
        attempts.drop_constraint("attempts_message_id_fkey", type_="foreignkey")
        attempts.drop_index("attempts_message_id_idx")
        attempts.drop_constraint("attempts_pkey", type_="primary")
        attempts.create_primary_key("attempts_pkey", ["message_id", "id"])
    with op.batch_alter_table("messages", copy_from=_messages(before=True)) as messages:
        for column in IMPLIED:
            messages.drop_constraint(f"messages_{column}_fkey", type_="foreignkey")
        messages.drop_index("messages_tenant_id_state_due_at_idx")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE messages SET (fillfactor = 50)")
    op.create_table(
        "fan_outs",
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("channels", JSON, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("state IN ('planning', 'planned', 'cancelled')", name=op.f("fan_outs_state_check")),
        sa.ForeignKeyConstraint(["notification_id"], ["notifications.id"], name=op.f("fan_outs_notification_id_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fan_outs_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("notification_id", name=op.f("fan_outs_pkey")),
    )
    op.create_index(
        "fan_outs_planning_idx",
        "fan_outs",
        ["updated_at"],
        unique=False,
        sqlite_where=sa.text("state = 'planning'"),
        postgresql_where=sa.text("state = 'planning'"),
    )


def downgrade() -> None:
    op.drop_index(
        "fan_outs_planning_idx",
        table_name="fan_outs",
        sqlite_where=sa.text("state = 'planning'"),
        postgresql_where=sa.text("state = 'planning'"),
    )
    op.drop_table("fan_outs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE messages RESET (fillfactor)")
    with op.batch_alter_table("messages", copy_from=_messages(before=False)) as messages:
        for column, table in IMPLIED.items():
            messages.create_foreign_key(f"messages_{column}_fkey", table, [column], ["id"])
        messages.create_index("messages_tenant_id_state_due_at_idx", ["tenant_id", "state", "due_at"])
    with op.batch_alter_table("attempts", copy_from=_attempts(before=False)) as attempts:
        attempts.drop_constraint("attempts_pkey", type_="primary")
        attempts.create_primary_key("attempts_pkey", ["id"])
        attempts.create_index("attempts_message_id_idx", ["message_id"])
        attempts.create_foreign_key("attempts_message_id_fkey", "messages", ["message_id"], ["id"])
        attempts.create_foreign_key("attempts_tenant_id_fkey", "tenants", ["tenant_id"], ["id"])


def _key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"{table}_{column}_fkey")


def _messages(*, before: bool) -> sa.Table:
    """The table as it stands before or after this revision."""
    keys = {**(IMPLIED if before else {}), "recipient_id": "recipients"}
    table = sa.Table(
        "messages",
        sa.MetaData(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.CheckConstraint(CHANNELS, name="messages_channel_check"),
        sa.CheckConstraint(STATES, name="messages_state_check"),
        *(_key("messages", column, to) for column, to in keys.items()),
        sa.PrimaryKeyConstraint("id", name="messages_pkey"),
        sa.UniqueConstraint(
            "notification_id", "recipient_id", "channel", name="messages_notification_id_recipient_id_channel_key"
        ),
        sa.Index("messages_batch_id_idx", "batch_id"),
        sa.Index("messages_recipient_id_idx", "recipient_id"),
    )
    if before:
        sa.Index("messages_tenant_id_state_due_at_idx", table.c.tenant_id, table.c.state, table.c.due_at)
    return table


def _attempts(*, before: bool) -> sa.Table:
    """The table as it stands before or after this revision."""
    keys = {"message_id": "messages", "tenant_id": "tenants"} if before else {}
    table = sa.Table(
        "attempts",
        sa.MetaData(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("header_id", sa.Text(), nullable=True),
        sa.Column("template_version", sa.Text(), nullable=True),
        sa.Column("rendered_at", TIME, nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint(OUTCOMES, name="attempts_outcome_check"),
        *(_key("attempts", column, to) for column, to in keys.items()),
        sa.PrimaryKeyConstraint(*(["id"] if before else ["message_id", "id"]), name="attempts_pkey"),
    )
    if before:
        sa.Index("attempts_message_id_idx", table.c.message_id)
    return table
