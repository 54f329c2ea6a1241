"""From a URL to a sink: one table names them all."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import cast

from notify.channels.sinks.bounded import Bounded
from notify.channels.sinks.contract import House, Sink
from notify.errors import InvalidProvider, InvalidSettings, did_you_mean

SINKS: Mapping[str, str] = MappingProxyType(
    {
        "mailto": "notify.channels.sinks.mail:MailSink",
        "https": "notify.channels.sinks.webhook:WebhookSink",
        "http": "notify.channels.sinks.webhook:WebhookSink",
        "slack": "notify.channels.sinks.slack:SlackSink",
        "pagerduty": "notify.channels.sinks.pagerduty:PagerDutySink",
    }
)
"""For each scheme the class that serves it, as `module:name`; the class reads the URL in `from_url(str, House)`."""

EXAMPLES = "mailto:ops@example.org, slack://hooks.slack.com/services/…, pagerduty://KEY or https://ops.example.org/hook"


def sinks(urls: Sequence[str], house: House) -> tuple[Bounded, ...]:
    """A sink for each URL, in their order; nothing is contacted yet.

    Raises `InvalidSettings`, naming the part at fault and, where one is near, the right word; never a secret.
    """
    found = tuple(Bounded(_sink(url, house), key=_key(url, house)) for url in urls)
    if len({sink.key for sink in found}) < len(found):
        raise InvalidSettings("NOTIFY_ALERT_SINKS: a sink is named twice\nNext: name each once.")
    return found


def _sink(url: str, house: House) -> Sink:
    scheme, colon, _ = url.partition(":")
    scheme = scheme.lower()
    if not colon or not scheme.isidentifier():  # its text may be anything, a secret too
        raise InvalidSettings(f"NOTIFY_ALERT_SINKS: no scheme\nNext: write it like {EXAMPLES}.")
    if scheme not in SINKS:
        advice = did_you_mean(scheme, SINKS)
        raise InvalidSettings(f"NOTIFY_ALERT_SINKS: unknown scheme '{scheme}'{advice}\nNext: write it like {EXAMPLES}.")
    module, _, name = SINKS[scheme].partition(":")
    try:
        return cast(Sink, getattr(import_module(module), name).from_url(url, house))
    except InvalidProvider as error:
        raise InvalidSettings(f"NOTIFY_ALERT_SINKS: {str(error).removeprefix('provider URL').lstrip(': ')}") from None


def _key(url: str, house: House) -> str:
    """What alerts remember a sink by: neither its secret nor, across installations, the same."""
    return hmac.digest(house.settings.secret_key.get_secret_value().encode(), url.encode(), "sha256").hex()[:16]
