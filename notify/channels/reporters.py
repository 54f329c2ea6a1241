"""From settings to reporters and carriers: tables name them all, and who has no secret is not listened to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from notify.channels.email.mailgun_events import MailgunEvents
from notify.channels.email.postmark_events import PostmarkEvents
from notify.channels.email.resend_events import ResendEvents
from notify.channels.email.sendgrid_events import SendGridEvents
from notify.channels.email.sendgrid_parse import SendGridParse
from notify.channels.email.ses_events import SesEvents
from notify.channels.hook import Carrier, Reporter
from notify.channels.sms.twilio_events import TwilioEvents
from notify.channels.sns_certificates import Shelf
from notify.errors import InvalidSettings, did_you_mean


class _Made(Protocol):
    def from_secrets(self, secrets: tuple[str, ...]) -> Reporter: ...


SIGNING: Mapping[str, _Made] = MappingProxyType(
    {each.name: each for each in (ResendEvents, SendGridEvents, MailgunEvents, PostmarkEvents, TwilioEvents)}
)
"""By name those that a secret is all they need; SES needs topics besides."""

NAMES = (SesEvents.name, *SIGNING)
CARRYING: Mapping[str, type[SendGridParse]] = MappingProxyType({SendGridParse.name: SendGridParse})
"""By name those that hand over mails."""

LISTENED_TO = (*NAMES, *CARRYING)


def reporters(
    secrets: Sequence[str], topics: frozenset[str] = frozenset(), shelf: Shelf | None = None
) -> dict[str, Reporter]:
    """Those that are set up, by name. A secret is `provider=secret`; of one provider there may be several.

    The certificates of SNS are kept on the `shelf`. Raises `InvalidSettings`, which repeats no secret.
    """
    given = _by_name(secrets)
    made: dict[str, Reporter] = {}
    try:
        for name in given.keys() & SIGNING.keys():
            made[name] = SIGNING[name].from_secrets(tuple(given[name]))
        name = SesEvents.name
        if topics:
            made[name] = SesEvents.from_secrets(tuple(given.get(name, ())), topics, shelf=shelf)
    except ValueError as error:
        raise InvalidSettings(f"NOTIFY_HOOK_SECRETS: {name}: {error}") from None
    if SesEvents.name in given and not topics:
        raise InvalidSettings("NOTIFY_HOOK_SECRETS: ses needs NOTIFY_SNS_TOPICS, too: the topics that are allowed")
    return made


def readers(topics: frozenset[str] = frozenset()) -> dict[str, Reporter]:
    """All that can read what was verified and stored before: that takes no secret, and nothing new is verified."""
    made: dict[str, Reporter] = {name: signing.from_secrets(()) for name, signing in SIGNING.items()}
    made[SesEvents.name] = SesEvents.from_secrets((), topics)
    return made


def carriers(secrets: Sequence[str]) -> dict[str, Carrier]:
    """Those that are set up, by name. Raises `InvalidSettings`, which repeats no secret."""
    given = _by_name(secrets)
    made: dict[str, Carrier] = {}
    for name in given.keys() & CARRYING.keys():
        try:
            made[name] = CARRYING[name].from_secrets(tuple(given[name]))
        except ValueError as error:
            raise InvalidSettings(f"NOTIFY_HOOK_SECRETS: {name}: {error}") from None
    return made


def openers() -> dict[str, Carrier]:
    """All that can read what carriers handed over before: that takes no secret, and nothing new is verified."""
    return {name: carrying.from_secrets(()) for name, carrying in CARRYING.items()}


def _by_name(secrets: Sequence[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for one in secrets:
        name, separator, secret = one.partition("=")
        if name not in LISTENED_TO or not separator or not secret:
            advice = did_you_mean(name, LISTENED_TO) if separator else ""
            raise InvalidSettings(
                f"NOTIFY_HOOK_SECRETS: each is provider=secret, and providers are {', '.join(LISTENED_TO)}{advice}"
            )
        given.setdefault(name, []).append(secret)
    return given
