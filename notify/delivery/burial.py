"""What died in delivery, written as dead letters; the mail that was rendered last is kept with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from notify.delivery.prepare import Prepared
from notify.model import Attempt, Death, ErrorClass, KeptMail
from notify.store import Connection, dead_letters, kept_mails
from notify.store.work import Work

NAMED = {word.value: word for word in (ErrorClass.EXPIRED, ErrorClass.POISON)}
TRIED = frozenset({ErrorClass.TRANSIENT, ErrorClass.REJECTED, ErrorClass.UNCERTAIN, ErrorClass.UNRENDERABLE})
KEPT_AT_MOST = 2**20  # octets: 40,000 refusals of a mail with a large attachment must not fill the disk


class Dead(NamedTuple):
    """A message that was just given up, its last attempt, and what it was rendered to."""

    work: Work
    reason: str
    rule: str
    attempt: Attempt | None
    prepared: Prepared | None = None


def bury(connection: Connection, dead: Sequence[Dead], at: datetime) -> None:
    """Write a dead letter for each, in the transaction that makes them dead."""
    if not dead:
        return
    buried = dead_letters.bury(connection, [_death(one, at) for one in dead])
    kept_mails.keep(connection, [_mail(one, mail) for one in dead if one.work.id in buried and (mail := _small(one))])


def _small(dead: Dead) -> Prepared | None:
    mail = dead.prepared
    return mail if mail is not None and len(mail.envelope.content) <= KEPT_AT_MOST else None


def _death(dead: Dead, at: datetime) -> Death:
    occasion, attempt = dead.work.occasion, dead.attempt
    return Death(
        tenant_id=occasion.tenant_id,
        message_id=dead.work.id,
        error=NAMED.get(dead.reason) or _class(attempt),
        reason=dead.reason,
        detail=(attempt.response if attempt else None) or dead.rule,
        at=at,
        kind=occasion.kind,
        channel=occasion.channel,
        provider=attempt.provider if attempt else None,
    )


def _class(attempt: Attempt | None) -> ErrorClass:
    word = attempt.outcome.value if attempt else None
    return ErrorClass(word) if word in TRIED else ErrorClass.TRANSIENT


def _mail(dead: Dead, prepared: Prepared) -> KeptMail:
    return KeptMail(
        message_id=dead.work.id,
        tenant_id=dead.work.occasion.tenant_id,
        sender=prepared.envelope.sender,
        subject=prepared.subject,
        template_version=prepared.template_version,
        rendered_at=prepared.rendered_at,
        content=prepared.envelope.content,
    )
