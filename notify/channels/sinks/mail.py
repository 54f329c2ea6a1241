"""`mailto:ops@example.org` (RFC 6068): a short mail through our own providers, the first that takes it.

It passes by the message tables, the breaker and every limit: it is sent when those are the trouble.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Self
from uuid import NAMESPACE_URL, uuid5

from notify.channels.email import address
from notify.channels.email.letter import envelope
from notify.channels.single import hand_over
from notify.channels.sinks.contract import House
from notify.channels.url import ProviderUrl
from notify.errors import DeliveryError, InvalidAddress, Unreachable
from notify.model import Mode, Notice, Word

LONGEST_SUBJECT = 120
MARKS = {Word.FIRED: "alert", Word.REMINDER: "alert", Word.CLEARED: "over"}


@dataclass
class MailSink:
    """One address. Begins with the provider that took the last mail: a dead one costs its time-out only once."""

    address: str = field(repr=False)
    house: House = field(repr=False)
    name: str = "mailto"

    def __post_init__(self) -> None:
        """The providers in the order in which they are tried."""
        self._mailers = deque(self.house.mailers)

    @classmethod
    def from_url(cls, url: str, house: House) -> Self:
        """One address, without options. Raises `InvalidProvider`."""
        part = ProviderUrl("mailto")
        to = url.partition(":")[2]
        if to.startswith("//"):
            raise part.wrong("address", "follows the colon at once; write mailto:ops@example.org")
        if "?" in to:
            raise part.wrong("options", "mailto: has none; write mailto:ops@example.org")
        try:
            return cls(address.parse(to, allow_test=True), house)
        except InvalidAddress:
            raise part.wrong("address", "is none; write mailto:ops@example.org") from None

    def tell(self, notice: Notice) -> None:
        """See `Sink`."""
        what, _, step = notice.line.partition(" Next: ")
        text = f"{what}\n\n" + (f"Next: {step}\n\n" if step else "")
        alert = notice.alert
        mail = envelope(
            self.house.settings,
            message_id=uuid5(NAMESPACE_URL, f"{self.house.settings.message_id_domain}/{notice.id}"),
            address=self.address,
            name=None,
            subject=f"[notify] {MARKS[notice.word]}: {_shortened(alert.summary.partition(' Next: ')[0])}",
            html=None,
            text=f"{text}Alert {alert.name}, {alert.severity}, since {alert.fired_at:%Y-%m-%d %H:%M:%S} UTC.\n",
            date=alert.seen_at,
            mode=Mode.LIVE,
        )
        said: list[str] = []
        for _ in range(len(self._mailers)):
            try:
                hand_over(self._mailers[0].provider, mail)
            except DeliveryError as error:
                said.append(f"{self._mailers[0].name}: {error.reason}")
                self._mailers.rotate(-1)
            else:
                return
        raise Unreachable(f"{self.name}: no provider took the mail ({', '.join(said)})")


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SUBJECT else f"{text[: LONGEST_SUBJECT - 1]}…"
