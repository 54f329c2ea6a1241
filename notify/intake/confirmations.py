"""A person is asked to confirm, by a link in a mail: that they agree to a category, or that an address is theirs.

Nothing is agreed to, and nothing verified, before the link comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notify.app import App
from notify.audience import confirming, consent, links
from notify.audience.links import Purpose
from notify.audience.person import Who, person
from notify.errors import InvalidRecipient, InvalidSettings
from notify.intake import planning
from notify.intake.request import Request
from notify.model import Address, Author, Channel, Consent, ConsentAction, Notification, fold
from notify.store import Connection, consents, tenants, verifications
from notify.store.preferences import Holder
from notify.store.verifications import Reached

CONFIRM, VERIFY = "confirm-subscription", "verify-address"
"""The kinds that ask."""


def ask_consent(
    app: App, who: Who, category: str, *, wording: str, source: str, by: Author, tenant: str | None = None
) -> Consent:
    """Note that this was asked, and send the mail whose link says yes; who agreed already is not asked again.

    Returns the entry of the log that holds then. What was noted stays when the mail cannot be planned: ask again.
    Raises `InvalidChoice`, `InvalidRecipient` without an e-mail address, `NotFound`; `InvalidSettings` without
    NOTIFY_PUBLIC_URL.
    """
    _require_pages(app)
    with app.store.begin() as connection:
        holder = person(connection, who, tenant, lock=True)
        standing = consents.standing(connection, holder.id).get(category)
        if standing is not None and standing.action is ConsentAction.GRANTED:
            return standing
        reached = _primary(connection, holder)
        asked = confirming.asked(
            app, connection, holder, category, wording=wording, source=source, by=by, address=reached.id
        )
        named = tenants.key_of(connection, holder.tenant_id)
    consent.tell(asked)
    until = _until(app)
    title = app.kinds.words(holder.locale or app.settings.default_locale)(app.kinds.category(category).title)
    url = _url(app, "confirm", until, asked.id)
    data = {"title": title, "wording": asked.wording, "until": until, "confirm_url": url}
    _send(app, CONFIRM, holder, named, data, to=reached, key=f"{CONFIRM} {asked.id}")
    return asked


def ask_verification(
    app: App, who: Who, *, address: str | None = None, tenant: str | None = None
) -> Notification | None:
    """Send the mail whose link verifies an e-mail address of the recipient's: the primary one, unless another is named.

    None when it is verified already. Raises `InvalidRecipient` when there is no such address, `NotFound`,
    `InvalidSettings` without NOTIFY_PUBLIC_URL.
    """
    _require_pages(app)
    with app.store.read() as connection:
        holder = person(connection, who, tenant)
        reached = _primary(connection, holder) if address is None else _own(connection, holder, address)
        named = tenants.key_of(connection, holder.tenant_id)
    if reached.verified:
        return None
    until = _until(app)
    url = _url(app, "verify", until, reached.id)
    return _send(app, VERIFY, holder, named, {"confirm_url": url, "until": until}, to=reached)


def _send(
    app: App,
    kind: str,
    holder: Holder,
    tenant: str,
    data: Mapping[str, Any],
    *,
    to: Reached,
    key: str | None = None,
) -> Notification:
    request = Request.checked(
        app,
        kind,
        [holder.key],
        data,
        channels=[Channel.EMAIL],
        key=key,
        at=None,
        tenant=tenant,
        attachments=(),
        mode="live",
    )
    (described,) = request.recipients
    address = Address(to.channel, to.value, to.verified)
    return planning.plan(app, replace(request, recipients=(replace(described, address=address),)))


def _own(connection: Connection, holder: Holder, address: str) -> Reached:
    mine = verifications.of_recipient(connection, holder.id, Channel.EMAIL)
    found = next((one for one in mine if one.folded == fold(address)), None)
    if found is None:
        raise InvalidRecipient(f"recipient {holder.key!r} has no such e-mail address; add it first")
    return found


def _primary(connection: Connection, holder: Holder) -> Reached:
    mine = verifications.of_recipient(connection, holder.id, Channel.EMAIL)
    found = next((one for one in mine if one.primary), None)
    if found is None:
        raise InvalidRecipient(f"recipient {holder.key!r} has no e-mail address to send a link to; add one first")
    return found


def _until(app: App) -> datetime:
    """When a link that is sent now stops working."""
    return app.clock.now().replace(microsecond=0) + timedelta(seconds=app.settings.confirmation_seconds)


def _url(app: App, purpose: Purpose, until: datetime, *ids: UUID) -> str:
    url = links.url(app.settings, purpose, links.sign(app, purpose, *ids, expires=until))
    assert url is not None, "the public URL is asked for first"
    return url


def _require_pages(app: App) -> None:
    if app.settings.public_url is None:
        raise InvalidSettings(
            "NOTIFY_PUBLIC_URL: is not set, and a link in a mail needs it\n"
            "Next: set it to where `notify web` is reached, such as https://notify.example.org"
        )
