"""The same decision, with every rule that has a say in it: what each looked at, what it said, and which one decided."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from notify.model import (
    Address,
    Channel,
    Decision,
    Defer,
    Kind,
    Local,
    Mode,
    OnQuiet,
    Recipient,
    Send,
    Skip,
    Suppression,
)
from notify.policy import fate, quiet, wishes
from notify.policy.rules import NO_RULES, Rules


@dataclass(frozen=True, slots=True)
class Looked:
    """A rule, what it found, and what it alone would decide: None when it has nothing against it."""

    rule: str
    says: str
    decision: Skip | Defer | None = None
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Trail:
    """What `decide` answers, and the rules in the order in which they are asked."""

    decision: Decision
    looked: tuple[Looked, ...]


def trail(
    kind: Kind,
    recipient: Recipient,
    channel: Channel,
    suppressions: Sequence[Suppression],
    now: datetime,
    *,
    mode: Mode = Mode.LIVE,
    test_recipients: Collection[str] = frozenset(),
    at: datetime | Local | None = None,
    rules: Rules = NO_RULES,
    consent: UUID | None = None,
) -> Trail:
    """Ask every rule about this message. Arguments as for `decide`."""
    decision = fate.decide(
        kind,
        recipient,
        channel,
        suppressions,
        now,
        mode=mode,
        test_recipients=test_recipients,
        at=at,
        rules=rules,
        consent=consent,
    )
    address = None if recipient.erased else recipient.addresses.get(channel)
    if address is None:
        no = fate.unreachable(recipient, channel)
        return Trail(decision, (Looked("address", no.rule, no, decides=True),))
    due, when = fate.meant_for(at, recipient.timezone, rules.timezone, now)
    looked = [
        Looked("address", address.value),
        _suppressions(kind, channel, suppressions, due),
        *_wishes(kind, recipient, address, rules, due, agreed=consent is not None),
        _of("mode", fate.not_meant(address, mode, test_recipients), f"mode {mode}"),
        Looked("time", when, Defer(due, "scheduled", when)) if due > now else Looked("time", "at once"),
        _of("quiet hours", quiet.at(kind, recipient, rules, due), _awake(kind, recipient, rules)),
    ]
    return Trail(decision, tuple(_marked(looked, decision)))


def _marked(looked: Sequence[Looked], decision: Decision) -> Iterator[Looked]:
    """The first rule that says what was decided is the one that decided it."""
    found = isinstance(decision, Send)
    for one in looked:
        decides = not found and one.decision == decision
        found = found or decides
        yield replace(one, decides=decides)


def _suppressions(kind: Kind, channel: Channel, suppressions: Sequence[Suppression], due: datetime) -> Looked:
    others = [f"{one.scope}: {one.reason}" for one in suppressions if one.channel is channel]
    what = "what is required" if kind.required else kind.category
    passed = f"none for {what}, only for {', '.join(others)}" if others else "none of this address"
    return _of("suppressions", fate.suppressed(kind, channel, suppressions, due), passed)


def _wishes(
    kind: Kind, recipient: Recipient, address: Address, rules: Rules, due: datetime, *, agreed: bool
) -> Iterator[Looked]:
    asked = f"agreed to {kind.category}" if kind.consent else "the kind asks for none"
    yield _of("consent", wishes.unagreed(kind, agreed=agreed), asked)
    need = "verified" if address.verified else "not verified, and need not be"
    yield _of("verification", wishes.unverified(kind, address, rules), need)
    if kind.required:
        yield Looked("required", "no status, preference or pause holds it back")
        return
    yield _of("status", wishes.inactive(recipient), "active")
    chosen = recipient.preferences.choice(kind.category, address.channel)
    by_default = f"nothing chosen, and {kind.category} is not off by default"
    wanted = by_default if chosen is None else f"{kind.category} is turned on by the recipient"
    yield _of("preference", wishes.turned_off(kind, recipient, address, rules), wanted)
    yield _of("pause", wishes.paused(recipient, due), "none")


def _awake(kind: Kind, recipient: Recipient, rules: Rules) -> str:
    if kind.critical:
        return "a critical kind passes"
    if kind.quiet is OnQuiet.SEND:
        return "the kind passes: quiet = send"
    hours = recipient.preferences.quiet or rules.defaults.quiet
    return "none" if hours is None else f"not within {hours}"


def _of(rule: str, found: Skip | Defer | None, otherwise: str) -> Looked:
    return Looked(rule, otherwise) if found is None else Looked(rule, found.rule, found)
