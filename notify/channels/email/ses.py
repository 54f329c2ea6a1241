"""Amazon SES (API v2) hand-over: accepted, refused or in doubt, in the first region of a list that takes the message.

`ses://KEY:SECRET@?region=eu-west-1,us-east-1&configuration_set=main`; without a key, boto3 looks for credentials where
it always does. SES has no idempotency key and writes a Message-ID of its own: its events know a message by the tag
`message_id`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar

import boto3
import botocore.session
from botocore.config import Config

from notify.channels.email.address import ascii_form, needs_smtputf8
from notify.channels.email.ses_region import Region
from notify.channels.parallel import in_parallel
from notify.channels.provider import Envelope, Outcome, Quota, Receipt, Watch
from notify.channels.url import ProviderUrl, at_least_one, http_endpoint, seconds
from notify.errors import DeliveryError, InvalidAddress, Misconfigured, Rejected, Throttled, Transient, did_you_mean
from notify.model import Channel

TAG = "message_id"
DAY = 24 * 3600
UNLIMITED = -1
_SET = re.compile(r"[A-Za-z0-9_-]{1,64}")
T = TypeVar("T")


@dataclass(frozen=True)
class Ses:
    """Amazon SES in one region or several, which are tried in order.

    `key` is id and secret, None for boto3's own chain. `endpoint` stands in for that of AWS. `timeout` and
    `connect_timeout` are seconds per socket operation; so many `connections` at most has one batch.
    """

    name: ClassVar[str] = "ses"
    channel: ClassVar[Channel] = Channel.EMAIL

    region: tuple[str, ...]
    key: tuple[str, str] | None = field(default=None, repr=False)
    configuration_set: str | None = None
    endpoint: str | None = None
    timeout: float = 30.0
    connect_timeout: float = 10.0
    connections: int = 8
    regions: tuple[Region, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the regions that all threads of this process share."""
        _, secret = self.key or ("", "")
        regions = tuple(Region(name, self._connect, secret=secret) for name in self.region)
        object.__setattr__(self, "regions", regions)  # the one attribute of a frozen dataclass that is not given

    @classmethod
    def from_url(cls, url: ProviderUrl) -> Self:
        """`ses://?region=…`. Raises `InvalidProvider`."""
        if url.host or url.port:
            raise url.wrong("host", "is not expected; write ses://?region=eu-west-1")
        if url.path.strip("/"):
            raise url.wrong("path", "is not expected; percent-encode a '/' in the secret as %2F")
        if bool(url.user) is not bool(url.password):
            raise url.wrong("password", "key and secret are given together, ses://KEY:SECRET@, or not at all")
        options = url.options(
            {
                "region": regions,
                "configuration_set": configuration_set,
                "endpoint": http_endpoint,
                "timeout": seconds,
                "connect_timeout": seconds,
                "connections": at_least_one,
            }
        )
        if "region" not in options:
            raise url.wrong("option 'region'", "is missing; write ses://?region=eu-west-1")
        return cls(key=(url.user, url.password) if url.user and url.password else None, **options)

    @property
    def place(self) -> str:
        """The regions."""
        return "+".join(self.region)

    @contextmanager
    def open(self) -> Iterator[Ses]:
        """See that a region answers, unless one did not long ago. Raises what stands in the way in all of them."""
        self._first(Region.reach)
        yield self

    def send_all(self, envelopes: Iterator[Envelope], watch: Watch) -> Iterator[Outcome]:
        """Hand over on several lines; see `Connection`."""
        yield from in_parallel(self._send, envelopes, watch, lines=self.connections)

    def quota(self) -> Quota:
        """Of the region that is tried first now, not older than some minutes. Raises a `DeliveryError`."""
        _, account, _ = self._first(Region.account)
        told = account.get("SendQuota", {})
        limit, sent = told.get("Max24HourSend"), told.get("SentLast24Hours")
        if limit is None or limit == UNLIMITED:
            return Quota(per_second=told.get("MaxSendRate"))
        return Quota(int(limit), max(0, int(limit - (sent or 0))), DAY, told.get("MaxSendRate"))

    def pace(self) -> float | None:
        """Messages per second. Raises a `DeliveryError`."""
        return self.quota().per_second

    def check(self) -> None:
        """Ask every region. Raises the first error; credentials that may only send are good enough."""
        for region in self.regions:
            try:
                enabled = region.account(fresh=True).get("SendingEnabled", True)
            except Misconfigured as error:
                if error.reason != "access_denied":
                    raise
            else:
                if not enabled:
                    raise Misconfigured("sending_paused", f"{region.name}: SES says that sending is not enabled")

    def close(self) -> None:
        """Close every connection that is kept."""
        for region in self.regions:
            region.close()

    def _send(self, envelope: Envelope) -> Receipt:
        request = self._request(envelope)
        region, name, others = self._first(lambda region: region.send(request, envelope.recipient))
        return Receipt(
            "; ".join([f"accepted in {region.name}", *(f"not in {other.response}" for other in others)]), name
        )

    def _request(self, envelope: Envelope) -> dict[str, Any]:
        """SendEmail's arguments. Raises `Rejected`."""
        request: dict[str, Any] = {
            "Destination": {"ToAddresses": [_address(envelope.recipient, scope="address")]},
            "Content": {"Raw": {"Data": envelope.content}},
            "EmailTags": [{"Name": TAG, "Value": str(envelope.message_id)}],
        }
        if not envelope.content.partition(b"\r\n\r\n")[0].isascii():
            raise Rejected("smtputf8_unsupported")
        if envelope.sender:
            request["FromEmailAddress"] = _address(envelope.sender, scope="message")
        if self.configuration_set:
            request["ConfigurationSetName"] = self.configuration_set
        return request

    def _first(self, ask: Callable[[Region], T]) -> tuple[Region, T, list[DeliveryError]]:
        """The first region that can answer, what it says, and why those before it did not.

        Only after it is proven that one did not accept comes the next. When none can, raises the error that gives
        most hope.
        """
        errors, now = list[DeliveryError](), time.monotonic()
        for region in sorted(self.regions, key=lambda region: max(region.last_until, now)):
            try:
                return region, ask(region), errors
            except (Throttled, Transient, Misconfigured) as error:
                errors.append(error)
        raise min(errors, key=lambda error: (Throttled, Transient, Misconfigured).index(type(error)))

    def _connect(self, region: str) -> Any:
        logging.getLogger("botocore").setLevel(logging.INFO)  # below that it logs whole requests, addresses included
        key, secret = self.key or (None, None)
        session = boto3.session.Session(key, secret)
        return session.client(
            "sesv2",
            region_name=region,
            endpoint_url=self.endpoint,
            config=Config(
                connect_timeout=self.connect_timeout,
                read_timeout=self.timeout,
                retries={"mode": "standard", "total_max_attempts": 1},  # whether again, and where, we decide
                max_pool_connections=self.connections,
                user_agent_extra="notify",
            ),
        )


def regions(text: str) -> tuple[str, ...]:
    """Names of AWS regions in which there is SES, separated by commas."""
    names, known = tuple(name.strip() for name in text.split(",")), _known_regions()
    for name in names:
        if name not in known:
            raise ValueError(f"'{name}' is no region with SES{did_you_mean(name, known)}")
    if len(set(names)) < len(names):
        raise ValueError("names a region twice")
    return names


def configuration_set(text: str) -> str:
    """The name of a configuration set."""
    if not _SET.fullmatch(text):
        raise ValueError("must be the name of a configuration set: at most 64 letters, digits, - and _")
    return text


@cache
def _known_regions() -> frozenset[str]:
    """Those that the installed boto3 knows, in all of AWS's partitions."""
    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(name for partition in partitions for name in session.get_available_regions("sesv2", partition))


def _address(address: str, *, scope: Literal["address", "message"]) -> str:
    """As SES takes it: it has no SMTPUTF8. Raises `Rejected`."""
    if needs_smtputf8(address):
        raise Rejected("smtputf8_unsupported", scope=scope)
    try:
        return ascii_form(address)
    except InvalidAddress:
        reason = "recipient_invalid" if scope == "address" else "sender_invalid"
        raise Rejected(reason, scope=scope) from None
