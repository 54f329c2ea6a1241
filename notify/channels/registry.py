"""From a URL to a provider: one table names them all, and a provider's code is loaded when its first URL is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Self, cast

from notify.channels.provider import Provider
from notify.channels.url import parse
from notify.errors import InvalidProvider, did_you_mean
from notify.model import Channel

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "smtp": "notify.channels.email.smtp:Smtp",
        "smtps": "notify.channels.email.smtp:Smtp",
        "eml": "notify.channels.email.eml:EmlFolder",
    }
)
"""For each scheme the class that serves it, as `module:name`; the class reads the URL in `from_url(ProviderUrl)`."""


def provider_for(url: str) -> Provider:
    """The provider that `url` configures; nothing is contacted yet.

    Raises `InvalidProvider`, naming the part at fault and, where one is near, the right word.
    """
    parts = parse(url)
    if parts.scheme not in PROVIDERS:
        advice = did_you_mean(parts.scheme, PROVIDERS) or f"; known are {', '.join(PROVIDERS)}"
        raise InvalidProvider(f"provider URL: unknown scheme '{parts.scheme}'{advice}")
    module, _, name = PROVIDERS[parts.scheme].partition(":")
    return cast(Provider, getattr(import_module(module), name).from_url(parts))


@dataclass(frozen=True, slots=True)
class Channels:
    """Each channel's providers, in the order in which they are tried."""

    by_channel: Mapping[Channel, tuple[Provider, ...]]

    @classmethod
    def from_urls(cls, email: Sequence[str] = ()) -> Self:
        """Read the URLs of each channel. Raises `InvalidProvider`."""
        return cls(MappingProxyType({Channel.EMAIL: _providers(Channel.EMAIL, email)}))

    def providers(self, channel: Channel) -> tuple[Provider, ...]:
        """The first is used; the others, in order, are its failover. Empty when the channel is not configured."""
        return self.by_channel.get(channel, ())

    def close(self) -> None:
        """Let go of whatever the providers keep open."""
        for providers in self.by_channel.values():
            for provider in providers:
                provider.close()


def _providers(channel: Channel, urls: Sequence[str]) -> tuple[Provider, ...]:
    providers = tuple(provider_for(url) for url in urls)
    for provider in providers:
        if provider.channel is not channel:
            raise InvalidProvider(f"provider '{provider.name}' serves {provider.channel}, not {channel}")
    return providers
