"""`https://…`: a POST of JSON to a receiver of your own, signed by the rules of Standard Webhooks 1.0.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. Its key is
`signing_key`, derived from NOTIFY_SECRET_KEY.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Self

from notify.channels.sinks.contract import House
from notify.channels.sinks.posting import address, encoded, post
from notify.channels.url import parse
from notify.model import Notice, Word

PURPOSE = b"notify alerts webhook 1"


def signing_key(secret: str) -> bytes:
    """The key that signs: it serves nothing else."""
    return hmac.digest(secret.encode(), PURPOSE, "sha256")


@dataclass(frozen=True)
class WebhookSink:
    """One receiver."""

    name: str
    url: str = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def from_url(cls, url: str, house: House) -> Self:
        """`https://host/path?query`, all of it the receiver's own. Raises `InvalidProvider`."""
        parts = parse(url)
        if parts.host == "hooks.slack.com":
            raise parts.wrong("scheme", "Slack reads another form; write slack://hooks.slack.com/services/…")
        target = address(parts, url.partition("://")[2], plain=parts.scheme == "http")
        key = signing_key(house.settings.secret_key.get_secret_value())
        return cls(f"{parts.scheme}://{parts.host}", target, key)

    def tell(self, notice: Notice) -> None:
        """See `Sink`."""
        alert = notice.alert
        body = encoded(
            {
                "type": "alert.cleared" if notice.word is Word.CLEARED else "alert.fired",
                "timestamp": alert.seen_at.isoformat(),
                "data": {
                    "alert": alert.name,
                    "severity": alert.severity,
                    "summary": notice.line,
                    "fired_at": alert.fired_at.isoformat(),
                    "cleared_at": alert.cleared_at and alert.cleared_at.isoformat(),
                    "reminder": notice.word is Word.REMINDER,
                    "times": notice.came,
                },
            }
        )
        moment = str(int(time.time()))  # the receiver's clock will be asked, not the app's
        signed = f"{notice.id}.{moment}.".encode() + body
        signature = b64encode(hmac.digest(self.key, signed, "sha256")).decode("ascii")
        headers = {"webhook-id": notice.id, "webhook-timestamp": moment, "webhook-signature": f"v1,{signature}"}
        post(self.name, self.url, body, headers)
