"""One message made ready for hand-over: rendered and composed. What a notification's messages share is loaded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notify.app import App
from notify.audience import links
from notify.channels.email import letter
from notify.channels.provider import Envelope
from notify.delivery import tracking
from notify.errors import NotFound
from notify.kinds import CompiledKind
from notify.model import Attachment
from notify.policy import wall_clock
from notify.store import kept_mails, notifications
from notify.store.tracked_links import Target
from notify.store.work import Occasion, Work


@dataclass(frozen=True, slots=True)
class Prepared:
    """An envelope, what its attempt row tells of it, and where its tracked links lead: to be stored before it goes."""

    envelope: Envelope
    subject: str
    template_version: str
    rendered_at: datetime
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shared:
    kind: CompiledKind
    data: Mapping[str, Any]
    attachments: tuple[Attachment, ...]


def meant_at(work: Work, default_timezone: str) -> datetime:
    """When it was meant to go out, by the recipient's clock if that was asked for: the Date of its mail."""
    at = work.occasion.at_local
    if at is None:
        return work.occasion.scheduled_at
    return wall_clock.moment(at, wall_clock.zone(work.recipient.timezone, default_timezone))


class Preparation:
    """Prepares the messages of one batch."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._sender = app.settings.sender
        self._shared: dict[int, tuple[Occasion, _Shared]] = {}  # by id(): hashing a UUID for each message is slow

    def __call__(self, work: Work, now: datetime) -> Prepared:
        """Render and compose. Raises a `RequestError` when the kind, the data or an address does not allow it.

        What is replayed as it was is not rendered again.
        """
        if work.occasion.as_was:
            return self._kept(work)
        shared = self._of(work.occasion)
        person, settings = work.recipient, self._app.settings
        assert work.address is not None, "policy lets no message without an address pass"
        data = shared.data if work.data is None else shared.kind.typed(work.data)
        own = links.of_mail(settings, shared.kind, work.id, person.id, work.occasion.scheduled_at)
        rendered = shared.kind.render(
            work.occasion.channel,
            {**data, **own, "sender": self._sender, "recipient": person.template_facts(work.address)},
            locale=person.locale or settings.default_locale,
            timezone=person.timezone or settings.default_timezone,
        )
        html, targets = tracking.marked(settings, shared.kind.facts, work, rendered.html_part)
        envelope = letter.envelope(
            settings,
            message_id=work.id,
            address=work.address,
            name=person.attributes.get("name"),
            subject=rendered.subject,
            html=html,
            text=rendered.text_part,
            date=meant_at(work, settings.default_timezone),
            mode=work.occasion.mode,
            attachments=shared.attachments,
            unsubscribe_url=own.get("unsubscribe_url") if shared.kind.facts.unsubscribe else None,
            read_receipt=shared.kind.facts.read_receipts,
        )
        return Prepared(envelope, rendered.subject, shared.kind.facts.version, now, targets)

    def _kept(self, work: Work) -> Prepared:
        assert work.address is not None, "policy lets no message without an address pass"
        with self._app.store.read() as connection:
            mail = kept_mails.find(connection, work.id)
        if mail is None:
            raise NotFound("the mail that was kept of it is gone; replay it without --as-was")
        envelope = Envelope(work.id, work.address, mail.sender, mail.content)
        return Prepared(envelope, mail.subject, mail.template_version, mail.rendered_at)

    def _of(self, occasion: Occasion) -> _Shared:
        known = self._shared.get(id(occasion))
        if known is None:
            known = self._shared[id(occasion)] = occasion, self._load(occasion)
        return known[1]

    def _load(self, occasion: Occasion) -> _Shared:
        kind = self._app.kinds.get(occasion.kind)
        files: tuple[Attachment, ...] = ()
        if occasion.has_attachments:
            with self._app.store.read() as connection:
                files = notifications.attachments_of(connection, occasion.notification_id)
        return _Shared(kind, kind.typed(occasion.data), files)
