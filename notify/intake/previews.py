"""What a mail would look like, with nothing stored and nothing sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from notify.app import App
from notify.audience import describe, links
from notify.audience.description import To
from notify.audience.description import locale as known_locale
from notify.channels.email import letter
from notify.errors import InvalidData, InvalidRecipient
from notify.intake.request import named_kind
from notify.kinds import CompiledKind
from notify.model import Address, Channel, Mode, Recipient
from notify.settings import Environment
from notify.store import recipients, tenants

SOMEBODY = UUID(int=0)  # previews have no message id of their own: the same preview is the same bytes
EXAMPLE_ADDRESS = "ada.lovelace@example.org"


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendered mail. `eml` is the whole message as octets, as SMTP would carry it."""

    subject: str
    html: str | None
    text: str
    locale: str
    eml: bytes


def preview(
    app: App,
    kind: str,
    to: To | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    locale: str | None = None,
    tenant: str | None = None,
) -> Preview:
    """Render `kind` for `to` (default: a made-up person) with `data` (default: the kind's sample).

    Raises the `RequestError`s that send() would raise.
    """
    compiled = named_kind(app, kind)
    wanted = None if locale is None else known_locale("preview", locale, InvalidData)
    person = _somebody(compiled) if to is None else _person(app, to, tenant)
    compiled.validate_recipient(person.attributes)
    values = compiled.typed(compiled.validate(compiled.sample if data is None else data))
    address = person.addresses.get(Channel.EMAIL, Address(Channel.EMAIL, EXAMPLE_ADDRESS))
    now = app.clock.now()
    own = links.of_mail(app.settings, compiled, SOMEBODY, SOMEBODY, now)
    rendered = compiled.render(
        Channel.EMAIL,
        {**values, **own, "sender": app.settings.sender, "recipient": person.template_facts(address.value)},
        locale=wanted or person.locale or app.settings.default_locale,
        timezone=person.timezone or app.settings.default_timezone,
    )
    envelope = letter.envelope(
        app.settings,
        message_id=SOMEBODY,
        address=address.value,
        name=person.attributes.get("name"),
        subject=rendered.subject,
        html=rendered.html_part,
        text=rendered.text_part,
        date=now,
        mode=Mode.LIVE,
        unsubscribe_url=own.get("unsubscribe_url") if compiled.facts.unsubscribe else None,
    )
    return Preview(rendered.subject, rendered.html, rendered.text, rendered.locale, envelope.content)


def _somebody(kind: CompiledKind) -> Recipient:
    """The recipient of the kind's sample, or a made-up one."""
    attributes = {"name": "Ada Lovelace", **kind.sample_recipient}
    fields = {name: attributes.pop(name, None) for name in ("key", "locale", "timezone")}
    address = attributes.pop("address", None) or EXAMPLE_ADDRESS
    return Recipient(
        SOMEBODY,
        fields["key"] or "user-42",
        fields["locale"],
        fields["timezone"],
        attributes,
        tuple(attributes.pop("tags", ())),
        {Channel.EMAIL: Address(Channel.EMAIL, address)},
    )


def _person(app: App, to: To, tenant: str | None) -> Recipient:
    settings = app.settings
    described = describe(to, allow_test=settings.env is Environment.DEVELOPMENT, region=settings.phone_region)
    known: dict[str, Recipient] = {}
    if isinstance(to, str):
        with app.store.read() as connection:
            known = recipients.by_keys(connection, tenants.tenant_id(connection, tenant), [described.key])
        if described.key not in known:
            raise InvalidRecipient(f"no recipient {to!r}; describe one: to={{'key': {to!r}, 'name': 'Ada'}}")
        return known[described.key]
    change = described.change
    if change is None:
        return Recipient(SOMEBODY, described.key)
    return Recipient(
        SOMEBODY,
        described.key,
        change.locale,
        change.timezone,
        change.attributes,
        change.tags or (),
        {channel: Address(channel, value) for channel, value in change.addresses.items()},
    )
