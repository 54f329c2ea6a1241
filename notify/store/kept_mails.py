"""Mails of messages that died after they were rendered: kept until they are sent after all, or given up for good."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa

from notify.model import KeptMail, MessageState
from notify.store.dialect import any_of, upsert
from notify.store.tables import kept_mails, messages

FAST = 1  # of zlib's levels: HTML shrinks to a quarter, and a death costs no millisecond more
WANTED = (MessageState.QUEUED, MessageState.SENDING, MessageState.IN_DOUBT, MessageState.DEAD)


def keep(connection: sa.Connection, mails: Sequence[KeptMail]) -> None:
    """Keep these; of a message that has one, the first stays."""
    if mails:
        connection.execute(
            upsert(connection, kept_mails).on_conflict_do_nothing(),
            [
                {
                    "message_id": mail.message_id,
                    "tenant_id": mail.tenant_id,
                    "sender": mail.sender,
                    "subject": mail.subject,
                    "template_version": mail.template_version,
                    "rendered_at": mail.rendered_at,
                    "content": zlib.compress(mail.content, FAST),
                }
                for mail in mails
            ],
        )


def find(connection: sa.Connection, message_id: UUID) -> KeptMail | None:
    """The mail of this message."""
    row = connection.execute(sa.select(kept_mails).where(kept_mails.c.message_id == message_id)).one_or_none()
    return None if row is None else KeptMail(**{**row._mapping, "content": zlib.decompress(row.content)})


def forget(connection: sa.Connection, ids: Collection[UUID]) -> None:
    """Nobody will send these messages as they were."""
    if ids:
        connection.execute(sa.delete(kept_mails).where(any_of(connection, kept_mails.c.message_id, list(ids))))


def forget_settled(connection: sa.Connection, batch_id: UUID) -> None:
    """Forget the mails of those messages of a batch that have gone out, or never will."""
    settled = sa.select(messages.c.id).where(messages.c.batch_id == batch_id, messages.c.state.not_in(WANTED))
    connection.execute(sa.delete(kept_mails).where(kept_mails.c.message_id.in_(settled)))
