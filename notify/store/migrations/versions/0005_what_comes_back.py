"""What comes back: payloads, mailboxes and their mails, parked events, what follows, and what the guard holds.

Revision: 0005, after 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
CHANNELS = "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')"
STATES = "state IN ('received', 'processed', 'rejected')"
MAILS = (
    "kind IN ('bounce', 'delay', 'complaint', 'auto_reply', 'delivered', 'read_receipt', 'challenge', 'reply', "
    "'other', 'rejected')"
)
MAIL_STATES = "state IN ('matched', 'unmatched', 'resolved', 'rejected', 'ignored')"
EFFECTS = "effect IN ('suppressed', 'scored', 'unsubscribed', 'stood')"
SCOPES = "scope IN ('mailout', 'tenant', 'provider', 'domain')"
MEASURES = "measure IN ('bounced', 'complained')"
PARKED: list[tuple[str, Any]] = [
    ("claimed_id", sa.Uuid()),
    ("header_id", sa.Text()),
    ("provider_message_id", sa.Text()),
    ("look_at", TIME),
]
INDICES = [
    ("attempts_provider_id_idx", "attempts", "provider_id", "length(provider_id) > 16"),
    ("events_parked_idx", "events", "look_at", "look_at IS NOT NULL"),
    ("events_bad_idx", "events", "received_at", "type IN ('bounced', 'complained')"),
    ("events_read_idx", "events", "at", "type IN ('opened', 'clicked')"),
]


def upgrade() -> None:
    op.add_column("notifications", sa.Column("paused", sa.Text(), nullable=True))
    for name, kind in PARKED:
        op.add_column("events", sa.Column(name, kind, nullable=True))
    op.add_column("events", sa.Column("looks", sa.Integer(), server_default="0", nullable=False))
    for name, table, column, where in INDICES:
        op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "hook_payloads",
        *_row(),
        *_texts("provider", "payload_id"),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        *_texts("state"),
        *_texts("reason", "problem", nullable=True),
        sa.Column("events", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("look_at", TIME, nullable=True),
        sa.Column("processed_at", TIME, nullable=True),
        sa.CheckConstraint(STATES, name=op.f("hook_payloads_state_check")),
        *_keys("hook_payloads"),
        sa.UniqueConstraint("provider", "payload_id", name=op.f("hook_payloads_provider_payload_id_key")),
    )
    op.create_index("hook_payloads_state_received_at_idx", "hook_payloads", ["state", "received_at"])
    _mailboxes()
    op.create_table(
        "consequences",
        *_row(),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        *_texts("channel"),
        *_texts("address", nullable=True),
        *_texts("effect"),
        *_texts("scope", nullable=True),
        sa.Column("until", TIME, nullable=True),
        *_texts("detail", nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint(CHANNELS, name=op.f("consequences_channel_check")),
        sa.CheckConstraint(EFFECTS, name=op.f("consequences_effect_check")),
        *_keys("consequences"),
    )
    op.create_index("consequences_tenant_id_channel_address_idx", "consequences", ["tenant_id", "channel", "address"])
    op.create_index("consequences_message_id_idx", "consequences", ["message_id"])
    op.create_table(
        "soft_bounces",
        *_row(),
        *_texts("channel", "address"),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint(CHANNELS, name=op.f("soft_bounces_channel_check")),
        *_keys("soft_bounces"),
        sa.UniqueConstraint("tenant_id", "channel", "address", name=op.f("soft_bounces_tenant_id_channel_address_key")),
    )
    op.create_table(
        "guard_holds",
        *_row(),
        *_texts("scope", "subject", "measure"),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        *_texts("provider", nullable=True),
        sa.Column("began_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        *_texts("ended_by", nullable=True),
        sa.CheckConstraint(SCOPES, name=op.f("guard_holds_scope_check")),
        sa.CheckConstraint(MEASURES, name=op.f("guard_holds_measure_check")),
        *_keys("guard_holds"),
    )
    still = sa.text("ended_at IS NULL")
    op.create_index(
        "guard_holds_open_key",
        "guard_holds",
        ["tenant_id", "scope", "subject"],
        unique=True,
        sqlite_where=still,
        postgresql_where=still,
    )
    op.create_index("guard_holds_ended_at_idx", "guard_holds", ["ended_at"])
    _tracking()


def _tracking() -> None:
    op.create_table(
        "tracked_links",
        *_row(),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        *_texts("url"),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=False),
        *_keys("tracked_links"),
    )
    op.create_index("tracked_links_used_at_idx", "tracked_links", ["used_at"])
    op.create_index("tracked_links_recipient_id_idx", "tracked_links", ["recipient_id"])
    op.create_table(
        "conversions",
        *_row(),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        *_texts("name", "key"),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("clicked_since", TIME, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        *_keys("conversions"),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("conversions_tenant_id_key_key")),
    )
    op.create_index("conversions_recipient_id_idx", "conversions", ["recipient_id"])
    op.create_index("conversions_tenant_id_at_idx", "conversions", ["tenant_id", "at"])


def _mailboxes() -> None:
    op.create_table(
        "mailboxes",
        *_row(),
        *_texts("name"),
        sa.Column("uid_validity", sa.BigInteger(), nullable=True),
        sa.Column("last_uid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("settled_uid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("scanned_at", TIME, nullable=True),
        sa.Column("tried_at", TIME, nullable=True),
        *_texts("problem", nullable=True),
        sa.Column("mails", sa.BigInteger(), server_default="0", nullable=False),
        *_keys("mailboxes"),
        sa.UniqueConstraint("name", name=op.f("mailboxes_name_key")),
    )
    op.create_table(
        "incoming_mails",
        *_row(),
        *_texts("mailbox", "digest"),
        *_texts("place", nullable=True),
        *_texts("kind", "state"),
        *_texts("reason", nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        *_texts("sender", "subject", "header_id", "envelope_to", nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("report", JSON, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        *_texts("text", nullable=True),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("resolved_at", TIME, nullable=True),
        *_texts("resolved_by", nullable=True),
        sa.CheckConstraint(MAILS, name=op.f("incoming_mails_kind_check")),
        sa.CheckConstraint(MAIL_STATES, name=op.f("incoming_mails_state_check")),
        *_keys("incoming_mails"),
        sa.UniqueConstraint("mailbox", "digest", name=op.f("incoming_mails_mailbox_digest_key")),
    )
    for columns in (["state", "received_at"], ["message_id"], ["recipient_id"]):
        op.create_index(f"incoming_mails_{'_'.join(columns)}_idx", "incoming_mails", columns)


def downgrade() -> None:
    for table in ("conversions", "tracked_links"):
        op.drop_table(table)
    for table in ("guard_holds", "soft_bounces", "consequences", "incoming_mails", "mailboxes", "hook_payloads"):
        op.drop_table(table)
    for name, table, *_ in INDICES:
        op.drop_index(name, table)
    for name in ("looks", *(name for name, _ in PARKED)):
        op.drop_column("events", name)
    op.drop_column("notifications", "paused")


def _row() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return sa.Column("id", sa.Uuid(), nullable=False), sa.Column("tenant_id", sa.Uuid(), nullable=False)


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _keys(table: str) -> tuple[sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"{table}_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{table}_pkey")),
    )
