"""`pagerduty://ROUTINGKEY`: PagerDuty's Events API v2. Trigger and resolve of an alert have one deduplication key.

`pagerduty://ROUTINGKEY@events.eu.pagerduty.com` is for accounts of the EU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Self

from notify.channels.sinks.contract import House
from notify.channels.sinks.posting import address, encoded, post
from notify.channels.url import parse
from notify.model import Notice, Word

HOST = "events.pagerduty.com"
LONGEST_SUMMARY = 1024


@dataclass(frozen=True)
class PagerDutySink:
    """One service of PagerDuty. `source` tells its people which installation it is."""

    name: str
    url: str = field(repr=False)
    routing_key: str = field(repr=False)
    source: str

    @classmethod
    def from_url(cls, url: str, house: House) -> Self:
        """The integration key, and the host when it is another than PagerDuty's own. Raises `InvalidProvider`."""
        parts = parse(url if "@" in url else f"{url}@{HOST}")
        parts.options({})
        key = parts.user or ""
        if not re.fullmatch(r"[A-Za-z0-9]{32}", key) or parts.password is not None:
            raise parts.wrong("key", "an integration key of Events API v2 has 32 letters and digits")
        if parts.path.strip("/"):
            raise parts.wrong("path", "is not expected")
        port = "" if parts.port is None else f":{parts.port}"
        target = address(parts, f"{parts.host}{port}/v2/enqueue")
        return cls(f"pagerduty://{parts.host}", target, key, house.settings.message_id_domain)

    def tell(self, notice: Notice) -> None:
        """See `Sink`. A reminder triggers once more, which adds to the incident that is open."""
        alert = notice.alert
        event: dict[str, Any] = {
            "routing_key": self.routing_key,
            "event_action": "resolve" if notice.word is Word.CLEARED else "trigger",
            "dedup_key": f"notify/{self.source}/{alert.name}",
        }
        if notice.word is not Word.CLEARED:
            event["payload"] = {
                "summary": notice.line[:LONGEST_SUMMARY],
                "source": self.source,
                "severity": alert.severity,
                "timestamp": alert.fired_at.isoformat(),
                "component": alert.name,
            }
        post(self.name, self.url, encoded(event))
