"""The tables. Every one has a tenant, every state a CHECK, every hot query an index.

`notify/store/migrations` builds the same; a test compares the two.

A mailout writes each message once and changes it twice, so these rows are kept cheap. No index of messages holds a
column that sending changes, and half of each page is left free: PostgreSQL then updates in place (heap-only tuples).
Foreign keys that every writer keeps by itself are left out, for each costs as much as an index.
"""

from notify.store.tables.columns import Json, UtcDateTime, metadata, one_of
from notify.store.tables.feedback import (
    consequences,
    guard_holds,
    hook_payloads,
    incoming_mails,
    mailboxes,
    soft_bounces,
)
from notify.store.tables.operating import (
    alerts,
    audit,
    dead_letters,
    kept_mails,
    provider_pauses,
    replays,
    schedule_claims,
    workers,
)
from notify.store.tables.people import (
    addresses,
    consents,
    recipient_changes,
    recipients,
    segments,
    suppressions,
    tenants,
)
from notify.store.tables.sending import attachments, attempts, batches, events, fan_outs, messages, notifications
from notify.store.tables.tracking import conversions, tracked_links

__all__ = [
    "Json",
    "UtcDateTime",
    "addresses",
    "alerts",
    "attachments",
    "attempts",
    "audit",
    "batches",
    "consents",
    "consequences",
    "conversions",
    "dead_letters",
    "events",
    "fan_outs",
    "guard_holds",
    "hook_payloads",
    "incoming_mails",
    "kept_mails",
    "mailboxes",
    "messages",
    "metadata",
    "notifications",
    "one_of",
    "provider_pauses",
    "recipient_changes",
    "recipients",
    "replays",
    "schedule_claims",
    "segments",
    "soft_bounces",
    "suppressions",
    "tenants",
    "tracked_links",
    "workers",
]
