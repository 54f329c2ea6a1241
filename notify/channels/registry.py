"""From a URL to a provider: one table names them all, and a provider's code is loaded when its first URL is."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, Self, cast

from notify.channels.provider import Placed, Provider
from notify.channels.url import ProviderUrl, parse
from notify.errors import InvalidProvider, did_you_mean
from notify.model import Channel
from notify.rates import Rate

ROUNDING = 1e-9

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "smtp": "notify.channels.email.smtp:Smtp",
        "smtps": "notify.channels.email.smtp:Smtp",
        "ses": "notify.channels.email.ses:Ses",
        "resend": "notify.channels.email.resend:Resend",
        "sendgrid": "notify.channels.email.sendgrid:SendGrid",
        "mailgun": "notify.channels.email.mailgun:Mailgun",
        "postmark": "notify.channels.email.postmark:Postmark",
        "eml": "notify.channels.email.eml:EmlFolder",
    }
)
"""For each scheme the class that serves it, as `module:name`; the class reads the URL in `from_url(ProviderUrl)`."""

EXTRAS: Mapping[str, str] = MappingProxyType({"ses": "ses"})
"""For each scheme that needs one, the extra of this package that brings its client."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A provider as the settings name it. `name` is what operators, attempts, logs and the breaker call it.

    It is the first choice of a fixed `share` of the messages (0 to 1), or of a part by `weight`; `rate` bounds what it
    is given. `digest` tells whether its URL has changed since, and nothing else of it.
    """

    provider: Provider
    name: str
    weight: int | None = None
    share: float | None = None
    rate: Rate | None = None
    digest: str = field(repr=False, default="")


def provider_for(url: str) -> Provider:
    """The provider that `url` configures; nothing is contacted yet.

    Raises `InvalidProvider`, naming the part at fault and, where one is near, the right word.
    """
    return configured(url, "").provider


def configured(url: str, secret: str) -> Configured:
    """The same with the options that every provider may have. Raises `InvalidProvider`."""
    parts = parse(url)
    if parts.scheme not in PROVIDERS:
        advice = did_you_mean(parts.scheme, PROVIDERS) or f"; known are {', '.join(PROVIDERS)}"
        raise InvalidProvider(f"provider URL: unknown scheme '{parts.scheme}'{advice}")
    options, rest = parts.common()
    if "share" in options and "weight" in options:
        raise parts.wrong("options", "'share' and 'weight' exclude each other: give one of them")
    provider = cast(Provider, _class(parts).from_url(rest))
    place = provider.place if isinstance(provider, Placed) else ""
    name = options.pop("name", f"{parts.scheme}:{place}" if place else parts.scheme)
    digest = hmac.new(secret.encode(), url.encode(), hashlib.sha256).hexdigest()
    return Configured(provider, name, digest=digest, **options)


@dataclass(frozen=True, slots=True)
class Channels:
    """Each channel's providers, in the order in which they are tried."""

    by_channel: Mapping[Channel, tuple[Configured, ...]]

    @classmethod
    def from_urls(cls, email: Sequence[str] = (), *, secret: str) -> Self:
        """Read the URLs of each channel; `secret` keys their digests. Raises `InvalidProvider`."""
        return cls(MappingProxyType({Channel.EMAIL: _providers(Channel.EMAIL, email, secret)}))

    def providers(self, channel: Channel) -> tuple[Configured, ...]:
        """In the order of failover. Empty when the channel is not configured."""
        return self.by_channel.get(channel, ())

    def every(self) -> dict[str, Configured]:
        """All of them, of whatever channel, by name."""
        return {one.name: one for providers in self.by_channel.values() for one in providers}

    def named(self, name: str) -> Configured:
        """The provider of this name. Raises `InvalidProvider` with the nearest one."""
        known = self.every()
        if name not in known:
            advice = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise InvalidProvider(f"no provider is called '{name}'{advice}")
        return known[name]

    def close(self) -> None:
        """Let go of whatever the providers keep open."""
        for one in self.every().values():
            one.provider.close()


def _providers(channel: Channel, urls: Sequence[str], secret: str) -> tuple[Configured, ...]:
    providers = tuple(configured(url, secret) for url in urls)
    for one in providers:
        if one.provider.channel is not channel:
            raise InvalidProvider(f"provider '{one.name}' serves {one.provider.channel}, not {channel}")
    twice = next((name for name, count in Counter(one.name for one in providers).items() if count > 1), None)
    if twice is not None:
        raise InvalidProvider(f"two providers of {channel} are called '{twice}': give each its own with ?name=")
    if sum(one.share or 0 for one in providers) > 1 + ROUNDING:
        raise InvalidProvider(f"the shares of the providers of {channel} are more than 100 % together")
    return providers


def _class(url: ProviderUrl) -> Any:
    """The class that serves this scheme. Raises `InvalidProvider` when its client is not installed."""
    module, _, name = PROVIDERS[url.scheme].partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if url.scheme not in EXTRAS:
            raise
        command = f"pip install 'notify-celery[{EXTRAS[url.scheme]}]'"
        raise url.wrong("scheme", f"needs {error.name}, which is not installed: {command}") from None
