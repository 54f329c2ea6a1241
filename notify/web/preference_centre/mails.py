"""The mails that the page sends: a test, and a fresh link to who comes with an old one; each only so often."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from notify.app import App
from notify.audience import own_page
from notify.errors import NotifyError
from notify.intake import confirmations, planning
from notify.intake.request import Request
from notify.model import Channel, MessageState, Mode, Notification
from notify.store.link_holders import Holder
from notify.telemetry import emit
from notify.web.preference_centre import pace
from notify.web.preference_centre.entry import Refused
from notify.web.preference_centre.visit import Visit

TEST, FRESH, VERIFICATION = "preference-test", "preference-link", "verify-address"
TEST_EVERY, FRESH_EVERY, VERIFICATION_EVERY = timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=1)
VERIFICATIONS = 5  # a day


def send_test(visit: Visit) -> None:
    """One mail, marked as a test, to the visitor's main address. Raises `Refused` when it is too soon, or cannot go."""
    words = visit.words
    if visit.main is None:
        raise Refused(words("There is no e-mail address to send it to."))
    if not pace.take(visit.app, TEST, visit.profile.id, TEST_EVERY):
        raise Refused(words("We sent a test less than a minute ago. Wait a little before the next."))
    try:
        planned = _send(visit.app, TEST, visit.tenant, visit.profile.key, {})
    except NotifyError:
        pace.give_back(visit.app, TEST, visit.profile.id)
        raise
    if not (planned.messages or {}).get(MessageState.QUEUED):
        pace.give_back(visit.app, TEST, visit.profile.id)
        raise Refused(words("It was not sent, for nothing is sent to this address at present."))


def take_verification(visit: Visit) -> None:
    """One of the few mails by which a visitor may verify addresses: one a minute, five a day. Raises `Refused`.

    Taken before anything is looked up or written: so nobody tries many addresses, and no stranger gets many mails.
    """
    if not pace.take(visit.app, VERIFICATION, visit.profile.id, VERIFICATION_EVERY):
        raise Refused(visit.words("We sent such a message less than a minute ago. Wait a little before the next."))
    if not pace.take_share(visit.app, VERIFICATION, visit.profile.id, VERIFICATIONS):
        raise Refused(visit.words("No more such messages go out today. Try again tomorrow."))


def send_verification(visit: Visit, address: str) -> None:
    """The mail whose link verifies one of their addresses, and goes there; it was taken before."""
    try:
        confirmations.ask_verification(visit.app, visit.profile.id, address=address)
    except NotifyError:
        pace.give_back(visit.app, VERIFICATION, visit.profile.id)
        raise


def send_link(app: App, holder: Holder) -> None:
    """A fresh link to the recipient's main address, unless one went there in the last ten minutes. Tells nothing."""
    if not pace.take(app, FRESH, holder.id, FRESH_EVERY):
        return
    try:
        _send(app, FRESH, holder.tenant, holder.key, {"url": own_page.link(app, holder.id)})
    except NotifyError as error:
        pace.give_back(app, FRESH, holder.id)
        emit("web.link_not_sent", error=type(error).__name__)


def _send(app: App, kind: str, tenant: str, key: str, data: Mapping[str, Any]) -> Notification:
    request = Request.checked(
        app,
        kind,
        [key],
        data,
        channels=[Channel.EMAIL],
        key=None,
        at=None,
        tenant=tenant,
        attachments=(),
        mode=Mode.LIVE,
    )
    return planning.plan(app, request)
