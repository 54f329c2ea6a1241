"""Preferences, consent, several addresses for each channel, segments, and what came back.

Revision: 0004, after 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
CHANNELS = "channel IN ('email', 'sms', 'web_push', 'in_app', 'chat', 'webhook')"
TYPES = (
    "type IN ('accepted', 'deferred', 'delivered', 'bounced', 'complained', 'opened', 'clicked', 'unsubscribed', "
    "'replied', 'auto_replied', 'read')"
)
BOUNCES = "bounce IS NULL OR bounce IN ('hard', 'soft', 'block', 'content', 'other')"
ADDED: dict[str, list[tuple[str, Any, str | None]]] = {
    "tenants": [("preferences", JSON, "{}")],
    "recipients": [
        ("preferences", JSON, "{}"),
        ("overrides", JSON, "[]"),
        ("deactivated_at", TIME, None),
        ("erased_at", TIME, None),
    ],
    "notifications": [
        ("cancellation_key", sa.Text(), None),
        ("at_local", sa.Text(), None),
        ("cancelled_at", TIME, None),
    ],
    "fan_outs": [("segment", sa.Text(), None)],
    "messages": [("consent_id", sa.Uuid(), None)],
    "suppressions": [("note", sa.Text(), None)],
}
NUMBER_TWINS = """
    UPDATE addresses SET twin = (
        SELECT count(*) FROM addresses AS earlier
        WHERE earlier.tenant_id = addresses.tenant_id AND earlier.channel = addresses.channel
          AND earlier.folded = addresses.folded AND earlier.id < addresses.id
    )
"""  # those who shared an address keep it; nobody joins them from now on
PLACE = ("tenant_id", "channel", "address", "scope")
ONE_REASON = """
    DELETE FROM suppressions WHERE EXISTS (
        SELECT 1 FROM suppressions AS other
        WHERE other.tenant_id = suppressions.tenant_id AND other.channel = suppressions.channel
          AND other.address = suppressions.address AND other.scope = suppressions.scope
          AND (other.reason NOT IN ('unsubscribed', 'complained'), other.id)
            < (suppressions.reason NOT IN ('unsubscribed', 'complained'), suppressions.id)
    )
"""  # the tables of 0003 have room for one of each scope: the person's own word
AUDIT_ONLY_GROWS = {
    "sqlite": [
        """
        CREATE TRIGGER audit_update BEFORE UPDATE ON audit
        WHEN NOT EXISTS (SELECT 1 FROM schedule_claims WHERE name = 'audit.door')
        BEGIN SELECT RAISE(ABORT, 'audit rows are only ever added'); END
        """,
        """
        CREATE TRIGGER audit_delete BEFORE DELETE ON audit
        WHEN NOT EXISTS (SELECT 1 FROM schedule_claims WHERE name = 'audit.door')
        BEGIN SELECT RAISE(ABORT, 'audit rows are only ever added'); END
        """,
    ],
    "postgresql": [
        """
        CREATE FUNCTION notify_audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM schedule_claims WHERE name = 'audit.door') THEN
                RAISE integrity_constraint_violation USING MESSAGE = 'audit rows are only ever added';
            END IF;
            RETURN coalesce(NEW, OLD);
        END $$
        """,
        """
        CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON audit
        FOR EACH ROW EXECUTE FUNCTION notify_audit_only_grows()
        """,
        """
        CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION notify_audit_only_grows()
        """,
    ],
}
AUDIT_FREE_AGAIN = {
    "sqlite": ["DROP TRIGGER audit_update", "DROP TRIGGER audit_delete"],
    "postgresql": [
        "DROP TRIGGER audit_only_grows ON audit",
        "DROP TRIGGER audit_never_emptied ON audit",
        "DROP FUNCTION notify_audit_only_grows()",
    ],
}
TOMBSTONE = sa.text("substr(address, 1, 5) = 'hmac:'")
CANCELLABLE = sa.text("cancellation_key IS NOT NULL")


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind, default in columns:
            op.add_column(table, sa.Column(name, kind, server_default=default, nullable=default is None))
    op.create_index(
        "notifications_cancellation_key_idx",
        "notifications",
        ["tenant_id", "cancellation_key"],
        sqlite_where=CANCELLABLE,
        postgresql_where=CANCELLABLE,
    )
    with op.batch_alter_table("suppressions", copy_from=_suppressions(*PLACE)) as suppressions:
        suppressions.drop_constraint(f"suppressions_{'_'.join(PLACE)}_key", type_="unique")
        suppressions.create_unique_constraint(f"suppressions_{'_'.join(PLACE)}_reason_key", [*PLACE, "reason"])
    op.create_index(
        "suppressions_tombstones_idx",
        "suppressions",
        ["tenant_id", "channel"],
        sqlite_where=TOMBSTONE,
        postgresql_where=TOMBSTONE,
    )
    op.add_column("addresses", sa.Column("is_primary", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("addresses", sa.Column("verified_at", TIME, nullable=True))
    op.add_column("addresses", sa.Column("twin", sa.Integer(), server_default="0", nullable=False))
    op.execute(NUMBER_TWINS)
    with op.batch_alter_table("addresses", copy_from=_addresses(several=False)) as addresses:
        addresses.drop_constraint("addresses_recipient_id_channel_key", type_="unique")
        addresses.drop_index("addresses_tenant_id_channel_folded_idx")
        addresses.create_unique_constraint(
            "addresses_recipient_id_channel_folded_key", ["recipient_id", "channel", "folded"]
        )
        addresses.create_unique_constraint(
            "addresses_tenant_id_channel_folded_twin_key", ["tenant_id", "channel", "folded", "twin"]
        )
    _index_primary()
    op.create_table(
        "recipient_changes",
        *_row(),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("changes", JSON, nullable=False),
        *_keys("recipient_changes"),
    )
    op.create_index("recipient_changes_recipient_id_idx", "recipient_changes", ["recipient_id"])
    op.create_table(
        "consents",
        *_row(),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("category", "action", "source", "wording")),
        sa.Column("proof", JSON, nullable=True),
        sa.Column("proof_digest", sa.Text(), nullable=True),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("action IN ('asked', 'granted', 'withdrawn')", name=op.f("consents_action_check")),
        *_keys("consents"),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("consents_tenant_id_number_key")),
    )
    op.create_index("consents_recipient_id_category_idx", "consents", ["recipient_id", "category"])
    op.create_table(
        "segments",
        *_row(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        *_keys("segments"),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("segments_tenant_id_name_key")),
    )
    op.create_table(
        "events",
        *_row(),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("bounce", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_event_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("address", "status", "diagnostic")),
        sa.Column("bot", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.CheckConstraint(TYPES, name=op.f("events_type_check")),
        sa.CheckConstraint(BOUNCES, name=op.f("events_bounce_check")),
        *_keys("events"),
        sa.UniqueConstraint(
            "tenant_id", "provider", "provider_event_id", name=op.f("events_tenant_id_provider_provider_event_id_key")
        ),
    )
    op.create_index("events_message_id_idx", "events", ["message_id"])
    op.create_index("events_recipient_id_type_at_idx", "events", ["recipient_id", "type", "at"])
    for statement in AUDIT_ONLY_GROWS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in AUDIT_FREE_AGAIN[op.get_bind().dialect.name]:
        op.execute(statement)
    for table in ("events", "segments", "consents", "recipient_changes"):
        op.drop_table(table)
    op.execute("DELETE FROM addresses WHERE NOT is_primary")  # the tables of 0003 have room for one of each channel
    op.drop_index("addresses_primary_key", "addresses")
    with op.batch_alter_table("addresses", copy_from=_addresses(several=True)) as addresses:
        addresses.drop_constraint("addresses_recipient_id_channel_folded_key", type_="unique")
        addresses.drop_constraint("addresses_tenant_id_channel_folded_twin_key", type_="unique")
        addresses.create_unique_constraint("addresses_recipient_id_channel_key", ["recipient_id", "channel"])
        addresses.create_index("addresses_tenant_id_channel_folded_idx", ["tenant_id", "channel", "folded"])
    for name in ("is_primary", "verified_at", "twin"):
        op.drop_column("addresses", name)
    op.drop_index("notifications_cancellation_key_idx", "notifications")
    op.drop_index("suppressions_tombstones_idx", "suppressions")
    op.execute(ONE_REASON)
    with op.batch_alter_table("suppressions", copy_from=_suppressions(*PLACE, "reason")) as suppressions:
        suppressions.drop_constraint(f"suppressions_{'_'.join(PLACE)}_reason_key", type_="unique")
        suppressions.create_unique_constraint(f"suppressions_{'_'.join(PLACE)}_key", list(PLACE))
    for table, columns in ADDED.items():
        for name, *_ in columns:
            op.drop_column(table, name)


def _index_primary() -> None:
    op.create_index(
        "addresses_primary_key",
        "addresses",
        ["recipient_id", "channel"],
        unique=True,
        sqlite_where=sa.text("is_primary"),
        postgresql_where=sa.text("is_primary"),
    )


def _row() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return sa.Column("id", sa.Uuid(), nullable=False), sa.Column("tenant_id", sa.Uuid(), nullable=False)


def _keys(table: str) -> tuple[sa.ForeignKeyConstraint, sa.PrimaryKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"{table}_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{table}_pkey")),
    )


def _suppressions(*unique: str) -> sa.Table:
    """The table with its new column, and the key from before or after this revision."""
    return sa.Table(
        "suppressions",
        sa.MetaData(),
        *_row(),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("channel", "address", "scope", "reason", "source")),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(CHANNELS, name="suppressions_channel_check"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="suppressions_tenant_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="suppressions_pkey"),
        sa.UniqueConstraint(*unique, name=f"suppressions_{'_'.join(unique)}_key"),
    )


def _addresses(*, several: bool) -> sa.Table:
    """The table with its new columns, and the keys from before or after this revision."""
    unique = (
        [("recipient_id", "channel", "folded"), ("tenant_id", "channel", "folded", "twin")]
        if several
        else [("recipient_id", "channel")]
    )
    table = sa.Table(
        "addresses",
        sa.MetaData(),
        *_row(),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("channel", "value", "folded")),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("is_primary", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("verified_at", TIME, nullable=True),
        sa.Column("twin", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(CHANNELS, name="addresses_channel_check"),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipients.id"], name="addresses_recipient_id_fkey", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="addresses_tenant_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="addresses_pkey"),
        *(sa.UniqueConstraint(*columns, name=f"addresses_{'_'.join(columns)}_key") for columns in unique),
    )
    if not several:
        sa.Index("addresses_tenant_id_channel_folded_idx", table.c.tenant_id, table.c.channel, table.c.folded)
    return table
