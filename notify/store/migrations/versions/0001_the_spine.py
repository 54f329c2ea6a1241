"""The spine: tenants, recipients, notifications, messages, batches, attempts, and who is alive.

Revision: 0001, after None
"""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
DEFAULT_TENANT = {
    "id": UUID("00000000-0000-7000-8000-000000000000"),
    "key": "default",
    "created_at": datetime(2026, 11, 21, tzinfo=UTC),
}


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tenants_pkey")),
        sa.UniqueConstraint("key", name=op.f("tenants_key_key")),
    )
    tenants = sa.table("tenants", sa.column("id", sa.Uuid), sa.column("key", sa.Text), sa.column("created_at", TIME))
    op.bulk_insert(tenants, [DEFAULT_TENANT])
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("audit_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pkey")),
    )
    op.create_index(op.f("audit_tenant_id_at_idx"), "audit", ["tenant_id", "at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')", name=op.f("batches_channel_check")
        ),
        sa.CheckConstraint("lane IN ('critical', 'normal', 'bulk')", name=op.f("batches_lane_check")),
        sa.CheckConstraint("state IN ('ready', 'leased', 'done')", name=op.f("batches_state_check")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("batches_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("batches_pkey")),
    )
    op.create_index(
        "batches_leased_idx",
        "batches",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "batches_ready_idx",
        "batches",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test', 'dry_run')", name=op.f("notifications_mode_check")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("notifications_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("notifications_pkey")),
        sa.UniqueConstraint("tenant_id", "idempotency_key", name=op.f("notifications_tenant_id_idempotency_key_key")),
    )
    op.create_table(
        "recipients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("recipients_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("recipients_pkey")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("recipients_tenant_id_key_key")),
    )
    op.create_table(
        "schedule_claims",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("schedule_claims_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("name", name=op.f("schedule_claims_pkey")),
    )
    op.create_table(
        "suppressions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.CheckConstraint(
            "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')",
            name=op.f("suppressions_channel_check"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("suppressions_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("suppressions_pkey")),
        sa.UniqueConstraint(
            "tenant_id", "channel", "address", "scope", name=op.f("suppressions_tenant_id_channel_address_scope_key")
        ),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("workers_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("name", name=op.f("workers_pkey")),
    )
    op.create_table(
        "addresses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint(
            "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')", name=op.f("addresses_channel_check")
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipients.id"], name=op.f("addresses_recipient_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("addresses_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("addresses_pkey")),
        sa.UniqueConstraint("recipient_id", "channel", name=op.f("addresses_recipient_id_channel_key")),
    )
    op.create_index(
        op.f("addresses_tenant_id_channel_folded_idx"), "addresses", ["tenant_id", "channel", "folded"], unique=False
    )
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("inline", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name=op.f("attachments_notification_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("attachments_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("attachments_pkey")),
        sa.UniqueConstraint("notification_id", "position", name=op.f("attachments_notification_id_position_key")),
    )
    op.create_table(
        "messages",
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
        sa.CheckConstraint(
            "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')", name=op.f("messages_channel_check")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'delivered', 'bounced', 'complained', 'in_doubt', 'dead', "
            "'skipped', 'cancelled')",
            name=op.f("messages_state_check"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("messages_batch_id_fkey")),
        sa.ForeignKeyConstraint(["notification_id"], ["notifications.id"], name=op.f("messages_notification_id_fkey")),
        sa.ForeignKeyConstraint(["recipient_id"], ["recipients.id"], name=op.f("messages_recipient_id_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("messages_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("messages_pkey")),
        sa.UniqueConstraint(
            "notification_id", "recipient_id", "channel", name=op.f("messages_notification_id_recipient_id_channel_key")
        ),
    )
    op.create_index(op.f("messages_batch_id_idx"), "messages", ["batch_id"], unique=False)
    op.create_index(op.f("messages_recipient_id_idx"), "messages", ["recipient_id"], unique=False)
    op.create_index(
        op.f("messages_tenant_id_state_due_at_idx"), "messages", ["tenant_id", "state", "due_at"], unique=False
    )
    op.create_table(
        "attempts",
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
        sa.CheckConstraint(
            "outcome IN ('accepted', 'transient', 'throttled', 'rejected', 'uncertain', 'misconfigured', "
            "'unrenderable', 'rendered')",
            name=op.f("attempts_outcome_check"),
        ),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("attempts_message_id_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("attempts_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("attempts_pkey")),
    )
    op.create_index(op.f("attempts_message_id_idx"), "attempts", ["message_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("attempts_message_id_idx"), table_name="attempts")
    op.drop_table("attempts")
    op.drop_index(op.f("messages_tenant_id_state_due_at_idx"), table_name="messages")
    op.drop_index(op.f("messages_recipient_id_idx"), table_name="messages")
    op.drop_index(op.f("messages_batch_id_idx"), table_name="messages")
    op.drop_table("messages")
    op.drop_table("attachments")
    op.drop_index(op.f("addresses_tenant_id_channel_folded_idx"), table_name="addresses")
    op.drop_table("addresses")
    op.drop_table("workers")
    op.drop_table("suppressions")
    op.drop_table("schedule_claims")
    op.drop_table("recipients")
    op.drop_table("notifications")
    op.drop_index(
        "batches_ready_idx",
        table_name="batches",
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.drop_index(
        "batches_leased_idx",
        table_name="batches",
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.drop_table("batches")
    op.drop_index(op.f("audit_tenant_id_at_idx"), table_name="audit")
    op.drop_table("audit")
    op.drop_table("tenants")
