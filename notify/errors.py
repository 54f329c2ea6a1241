"""Every error that notify raises, in one tree; each says what happened, where, and what to do next.

NotifyError
├── RequestError                 the caller's fault, raised by send(): nothing was stored
│   ├── UnknownKind              no kind folder of that name
│   ├── InvalidKind              the kind's own files are wrong (names file and line)
│   ├── InvalidData              data does not fit the kind's [data] declaration
│   ├── InvalidHeader            a value meant for a mail header holds CR, LF or NUL
│   ├── InvalidRecipient         `to` is not a key or a recipient description
│   │   └── AddressTaken         another recipient has this address
│   ├── InvalidAddress           an address that cannot be written to
│   ├── InvalidSegment           an expression that cannot be read, or a name that none can have
│   ├── InvalidAttachment        an attachment without a name, or too large
│   ├── InvalidDeadline          expires= leaves no time to send
│   ├── InvalidChoice            a preference or a consent that there is none of, or that cannot be refused
│   ├── InvalidSuppression       a suppression that cannot be made, or not be removed like that
│   ├── StillSending             somebody cannot be erased: a worker has a message of theirs in hand
│   ├── InvalidSession           session= is not a SQLAlchemy Session
│   ├── IdempotencyConflict      the key was used before for another request
│   └── NotFound                 no notification or message of that id or key
├── DeliveryError                raised by providers; never reaches the caller of send()
│   ├── Transient                try again; costs an attempt
│   ├── Throttled                the provider says slow down; costs no attempt
│   ├── Rejected                 refused for good: this message, or this address
│   ├── Uncertain                may have been accepted
│   └── Misconfigured            credentials or sender: pauses the provider, costs no attempt
├── HookError                    raised by reporters, about a webhook that came in
│   ├── Unverified               its signature is missing, wrong or stale, or its sender not allowed: nothing was stored
│   └── Unreadable               it is who it says it is, but nothing that can be read: stored, and named
└── OperatorError                for who runs notify: settings, migrations, services
    ├── InvalidSettings          a NOTIFY_* value that cannot be used
    ├── InvalidProvider          a provider URL that cannot be used
    ├── MigrationNeeded          the database is not at the revision this version needs
    └── Unreachable              a service does not answer
        ├── NotThere             a web server answers that it has no such file
        └── UnreachableMailbox   a mailbox cannot be opened or read
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal


class NotifyError(Exception):
    """The root: catch this to catch everything notify raises on purpose."""


class RequestError(NotifyError):
    """The caller's fault. Nothing was stored, nothing will be sent."""


class UnknownKind(RequestError):
    """No kind folder of that name."""


class InvalidKind(RequestError):
    """The kind's own files are wrong; the text names file and line."""


class InvalidData(RequestError):
    """The data given to send() does not fit the kind's [data] declaration."""


class InvalidHeader(RequestError):
    """A value meant for a mail header holds CR, LF or NUL (RFC 5322 §2.2)."""


class InvalidRecipient(RequestError):
    """`to` is neither a recipient key nor a description of one."""


class AddressTaken(InvalidRecipient):
    """Each address belongs to one recipient: `holder` has the one that was said to be that of `key`."""

    def __init__(self, key: str, channel: str, address: str, holder: str) -> None:
        super().__init__(
            f"recipient {key!r}: {address} is the {channel} address of recipient {holder!r} already. "
            f"Write to {holder!r}, or take it from there first: notify recipients set {holder} --remove {address}"
        )
        self.key = key
        self.channel = channel
        self.address = address
        self.holder = holder


class InvalidAddress(RequestError):
    """An address that cannot be written to."""


class InvalidSegment(RequestError):
    """What was given as a segment is no expression of its language, or no name for one; the text shows where."""


class InvalidAttachment(RequestError):
    """An attachment without a usable name or type, or over the size limit."""


class InvalidDeadline(RequestError):
    """What was given as expires= is no time span or datetime, or leaves no time to send."""


class InvalidChoice(RequestError):
    """A preference or a consent that cannot be set: its category, channel, hours, moment or wording."""


class InvalidSuppression(RequestError):
    """A suppression that cannot be made as it is described, or not be removed without more being said."""


class StillSending(RequestError):
    """Nobody is erased while a worker has a message to them in hand."""


class InvalidSession(RequestError):
    """What was given as session= is not a SQLAlchemy Session."""


class IdempotencyConflict(RequestError):
    """The idempotency key was used before, for a request that differs from this one."""


class NotFound(RequestError):
    """No notification or message of that id or key in this tenant."""


class DeliveryError(NotifyError):
    """Why a provider did not take a message.

    `reason` is machine-readable (`connection_refused`, `mailbox_unknown`); `response` is what the
    provider said, word for word; `retry_after` is in seconds where the provider named a wait. `line_lost` says that
    it was no answer to this message: the connection went silent, broke, or was closed by the provider.
    """

    def __init__(
        self, reason: str, response: str = "", *, retry_after: float | None = None, line_lost: bool = False
    ) -> None:
        super().__init__(f"{reason}: {response}" if response else reason)
        self.reason = reason
        self.response = response
        self.retry_after = retry_after
        self.line_lost = line_lost


class Transient(DeliveryError):
    """Proven not accepted, and worth another try; costs an attempt.

    `scope` says whose trouble it is: the provider's, so that another one may carry the message at once and a breaker
    counts it, or that of this message or its mailbox (full, greylisted), which would be the same elsewhere.
    """

    def __init__(
        self,
        reason: str,
        response: str = "",
        *,
        retry_after: float | None = None,
        line_lost: bool = False,
        scope: Literal["provider", "message"] = "provider",
    ) -> None:
        super().__init__(reason, response, retry_after=retry_after, line_lost=line_lost)
        self.scope = scope


class Throttled(DeliveryError):
    """The provider asks to slow down; costs no attempt."""


class Rejected(DeliveryError):
    """Refused for good. `scope` says whether the address or only this message is at fault."""

    def __init__(self, reason: str, response: str = "", *, scope: Literal["address", "message"] = "message") -> None:
        super().__init__(reason, response)
        self.scope = scope


class Uncertain(DeliveryError):
    """The message may have been accepted: the answer to its body never came."""


class Misconfigured(DeliveryError):
    """Credentials or sender are refused: no message can pass until an operator mends it; costs no attempt."""


class HookError(NotifyError):
    """A webhook that is not believed or not understood."""


class Unverified(HookError):
    """Nobody knows who sent it, so nothing of it was stored.

    `reason` says whether the signature is `missing`, `wrong` or `stale`, or who signed is not allowed (`forbidden`).
    """

    def __init__(self, reason: Literal["missing", "wrong", "stale", "forbidden"], why: str) -> None:
        super().__init__(f"{reason}: {why}")
        self.reason = reason
        self.why = why


class Unreadable(HookError):
    """It was verified and stored, and holds nothing that can be recorded. `reason` is machine-readable."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(f"{reason}: {why}")
        self.reason = reason
        self.why = why


class OperatorError(NotifyError):
    """For who runs notify: what is wrong with the installation, and the next step."""


class InvalidSettings(OperatorError):
    """A NOTIFY_* name or value that cannot be used."""


class InvalidProvider(OperatorError):
    """A provider URL that cannot be used."""


class MigrationNeeded(OperatorError):
    """The database schema is not the one this version of notify needs."""


class Unreachable(OperatorError):
    """A service does not answer. The text holds its name, its URL without secrets, and the next step."""


class NotThere(Unreachable):
    """A web server answers, but has no such file for us."""


class UnreachableMailbox(Unreachable):
    """A mailbox cannot be opened or read. `problem` is the cause alone, in one line without secrets."""

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`"; did you mean 'rows'?"` for the nearest of `known`, or the empty string when there is none."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6) if isinstance(word, str) else ()
    return f"; did you mean '{nearest[0]}'?" if nearest else ""
