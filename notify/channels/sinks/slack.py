"""`slack://hooks.slack.com/services/…`: Slack's incoming webhooks, and those of others in their form (Mattermost)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from notify.channels.sinks.contract import House
from notify.channels.sinks.posting import address, encoded, post
from notify.channels.url import parse
from notify.errors import did_you_mean
from notify.model import Notice, Word

HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
SIGNS = {Word.FIRED: ":red_circle:", Word.REMINDER: ":red_circle:", Word.CLEARED: ":large_green_circle:"}


@dataclass(frozen=True)
class SlackSink:
    """One channel."""

    name: str
    url: str = field(repr=False)

    @classmethod
    def from_url(cls, url: str, _house: House) -> Self:
        """The webhook's URL, with slack in place of https. Raises `InvalidProvider`."""
        parts = parse(url)
        parts.options({})
        if parts.host not in HOSTS and "slack" in parts.host:
            raise parts.wrong("host", f"is none of Slack's{did_you_mean(parts.host, HOSTS)}")
        if parts.host in HOSTS and not parts.path.startswith("/services/"):
            raise parts.wrong("path", "must be that of an incoming webhook: /services/T…/B…/…")
        if not parts.path.strip("/"):
            raise parts.wrong("path", "is missing; copy the webhook's URL and write slack in place of https")
        return cls(f"slack://{parts.host}", address(parts, url.partition("://")[2]))

    def tell(self, notice: Notice) -> None:
        """See `Sink`."""
        line = notice.line
        for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # Slack: formatting text for app surfaces
            line = line.replace(sign, name)
        post(self.name, self.url, encoded({"text": f"{SIGNS[notice.word]} notify: {line}"}))
