"""The visitor's language, time zone and addresses: an address becomes the main one only once it is verified."""

from __future__ import annotations

from notify.audience import recipients
from notify.audience.addresses import normal
from notify.audience.correction import Edit
from notify.errors import AddressTaken, RequestError
from notify.model import Channel, OwnAddress
from notify.settings import time_zones
from notify.web.preference_centre import mails
from notify.web.preference_centre.entry import Entry, Refused
from notify.web.preference_centre.visit import Visit

MOST = 5  # addresses of one channel: a mail goes to each, and nobody is to use this page to write to strangers


def language(visit: Visit, entry: Entry) -> str:
    """Save what was changed of the two."""
    locale, timezone = entry.one("locale"), entry.one("timezone")
    changed: dict[str, str] = {}
    if locale != entry.one("was_locale"):
        if locale not in {*visit.locales, visit.locale}:
            raise Refused(visit.words("Choose a language from the list."), "locale")
        changed["locale"] = locale
    if timezone != entry.one("was_timezone"):
        if timezone not in time_zones():
            raise Refused(visit.words("Choose a time zone from the list."), "timezone")
        changed["timezone"] = timezone
    if changed:
        recipients.edit(visit.app, visit.profile.key, Edit(said=changed), by=visit.by, tenant=visit.tenant)
    return "language"


def addresses(visit: Visit, entry: Entry) -> str:
    """Add an address, or do with one of theirs what its button says."""
    if entry.act == "add" and extensible(visit):
        return _add(visit, entry.one("email"))
    address = next((one for one in visit.profile.addresses if handle(one) == entry.one("address")), None)
    if address is None:
        raise Refused(visit.words("This address is no longer yours. Look at the list again."))
    if entry.act == "verify" and verifiable(visit, address):
        mails.take_verification(visit)
        mails.send_verification(visit, address.value)
        return "added"
    if entry.act == "primary" and address.verified:
        recipients.make_primary(
            visit.app, visit.profile.key, address.channel, address.value, by=visit.by, tenant=visit.tenant
        )
        return "primary"
    if entry.act == "remove" and not address.primary:
        recipients.remove_address(
            visit.app, visit.profile.key, address.channel, address.value, by=visit.by, tenant=visit.tenant
        )
        return "removed"
    raise Refused(visit.words("This cannot be done with this address. Look at the list again."))


def handle(address: OwnAddress) -> str:
    """What a form calls an address."""
    return f"{address.channel}/{address.value}"


def verifiable(visit: Visit, address: OwnAddress) -> bool:
    """Whether a mail can go there that shows whose it is."""
    return address.channel is Channel.EMAIL and not address.verified and extensible(visit)


def extensible(visit: Visit) -> bool:
    """Whether addresses can be verified at all: the link for it needs NOTIFY_PUBLIC_URL."""
    return visit.app.settings.public_url is not None


def _add(visit: Visit, given: str) -> str:
    own = [one for one in visit.profile.addresses if one.channel is Channel.EMAIL]
    if not given:
        raise Refused(visit.words("Give an e-mail address."), "email")
    if len(own) >= MOST:
        raise Refused(visit.words("You have %(number)s addresses already. Remove one first.", number=len(own)), "email")
    try:
        address = normal(visit.app, visit.profile.key, Channel.EMAIL, given)
    except RequestError:
        text = visit.words("%(address)s cannot be used here. Look for a slip, or give another one.", address=given)
        raise Refused(text, "email") from None
    mails.take_verification(visit)
    try:
        recipients.add_address(visit.app, visit.profile.key, Channel.EMAIL, address, by=visit.by, tenant=visit.tenant)
    except AddressTaken:  # the answer is the same: whose it is, is no news, nor that it is somebody's
        return "added"
    mails.send_verification(visit, address)
    return "added"
