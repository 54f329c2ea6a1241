"""What came back as it was posted or mailed, what followed from it, and what the guard holds."""

from __future__ import annotations

import sqlalchemy as sa

from notify.model import Channel, Effect, HoldScope, HookState, IncomingKind, IncomingState, Measure
from notify.store.tables.columns import Json, implied, key, metadata, one_of, tenant, text, time

hook_payloads = sa.Table(
    "hook_payloads",
    metadata,
    key(),
    tenant(),
    text("provider"),
    text("payload_id"),  # the provider's name of this delivery
    sa.Column("headers", Json, nullable=False),  # those of interest: never a signature
    sa.Column("body", sa.LargeBinary, nullable=False),  # as it came
    text("state"),
    text("reason", nullable=True),  # of a rejection
    text("problem", nullable=True),  # the same in words
    sa.Column("events", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    time("received_at"),
    time("look_at", nullable=True),  # not before; of one that failed
    time("processed_at", nullable=True),
    one_of("state", HookState),
    sa.UniqueConstraint("provider", "payload_id"),  # a replay is stored once
    sa.Index(None, "state", "received_at"),
)

mailboxes = sa.Table(
    "mailboxes",
    metadata,
    key(),
    tenant(),
    text("name"),  # scheme://user@host:port/folder
    sa.Column("uid_validity", sa.BigInteger, nullable=True),
    sa.Column("last_uid", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("settled_uid", sa.BigInteger, nullable=False, server_default="0"),  # marked or moved up to here
    time("scanned_at", nullable=True),  # the last success
    time("tried_at", nullable=True),
    text("problem", nullable=True),  # of the last try, in words
    sa.Column("mails", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("name"),
)

incoming_mails = sa.Table(
    "incoming_mails",
    metadata,
    key(),
    tenant(),
    text("mailbox"),  # its name, or that of a listener
    text("digest"),  # SHA-256 of the octets that were read
    text("place", nullable=True),  # uidvalidity:uid
    text("kind"),
    text("state"),
    text("reason", nullable=True),  # why nothing followed
    implied("message_id", nullable=True),
    implied("recipient_id", nullable=True),
    text("sender", nullable=True),
    text("subject", nullable=True),
    text("header_id", nullable=True),
    text("envelope_to", nullable=True),  # whom it came to; kept with the body, to read that again
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("report", Json, nullable=True),  # each recipient with verdict, status and diagnostic
    sa.Column("body", sa.LargeBinary, nullable=True),  # the first megabyte of what an operator is to look at
    text("text", nullable=True),  # a reply's words, where they are kept
    time("received_at"),
    time("resolved_at", nullable=True),
    text("resolved_by", nullable=True),
    one_of("kind", IncomingKind),
    one_of("state", IncomingState),
    sa.UniqueConstraint("mailbox", "digest"),
    sa.Index(None, "state", "received_at"),
    sa.Index(None, "message_id"),
    sa.Index(None, "recipient_id"),
)

consequences = sa.Table(
    "consequences",
    metadata,
    key(),
    tenant(),
    implied("event_id"),
    implied("message_id", nullable=True),
    implied("recipient_id", nullable=True),
    text("channel"),
    text("address", nullable=True),  # folded
    text("effect"),
    text("scope", nullable=True),
    time("until", nullable=True),
    text("detail", nullable=True),
    time("at"),
    one_of("channel", Channel),
    one_of("effect", Effect),
    sa.Index(None, "tenant_id", "channel", "address"),
    sa.Index(None, "message_id"),
)

soft_bounces = sa.Table(
    "soft_bounces",
    metadata,
    key(),
    tenant(),
    text("channel"),
    text("address"),  # folded
    sa.Column("score", sa.Float, nullable=False),  # as it was at that moment: it decays
    time("at"),
    one_of("channel", Channel),
    sa.UniqueConstraint("tenant_id", "channel", "address"),
)

guard_holds = sa.Table(
    "guard_holds",
    metadata,
    key(),
    tenant(),
    text("scope"),
    text("subject"),
    text("measure"),
    sa.Column("bad", sa.Integer, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False),
    text("provider", nullable=True),
    time("began_at"),
    time("ended_at", nullable=True),
    text("ended_by", nullable=True),
    one_of("scope", HoldScope),
    one_of("measure", Measure),
    sa.Index(
        "guard_holds_open_key",
        "tenant_id",
        "scope",
        "subject",
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    ),
    sa.Index(None, "ended_at"),
)
