"""What would become of a notification if it were sent now, channel by channel, with nothing stored and nothing sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notify.app import App
from notify.audience import Described, Everyone, Segment, ruling
from notify.audience.description import To
from notify.errors import InvalidRecipient
from notify.intake.request import Request
from notify.intake.when import At
from notify.kinds import Over
from notify.model import Channel, Kind, Mode, Recipient, Skip, Suppression
from notify.policy import EXPIRED, Looked, Trail, due_at, past, trail
from notify.rates import domain_rates
from notify.store import Connection, consents, provider_pauses, recipients, suppressions, tenants

NOBODY = UUID(int=0)  # somebody who is not in the roster yet


@dataclass(frozen=True, slots=True)
class Prospect:
    """One channel. `outcome` is `sent`, `queued` until `at`, `skipped` or `dead`; `reason` and `rule` are why.

    `looked` holds every rule and what it says, `providers` who would be asked in this order, `limits` what may delay
    it further on the way, `suppressions` the address's.
    """

    channel: Channel
    address: str | None
    outcome: str
    at: datetime | None
    reason: str | None
    rule: str | None
    looked: tuple[Looked, ...]
    suppressions: tuple[Suppression, ...]
    providers: tuple[str, ...]
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would happen, by channel; `str()` tells it."""

    kind: str
    recipient: str
    mode: Mode
    deadline: datetime | None
    channels: tuple[Prospect, ...]

    def __str__(self) -> str:
        return "\n".join(line for one in self.channels for line in self._lines(one))

    def _lines(self, one: Prospect) -> Iterator[str]:
        when = f" until {one.at:%Y-%m-%d %H:%M:%S} UTC" if one.at else ""
        why = ": ".join(part for part in (one.reason, one.rule) if part)
        yield f"{self.kind} to {self.recipient} by {one.channel}: {one.outcome}{when}{f' ({why})' if why else ''}"
        for looked in one.looked:
            yield f"  {'>' if looked.decides else ' '} {looked.rule}: {looked.says}"
        yield from (f"    limit: {limit}" for limit in one.limits)
        yield from (f"    provider {number}: {name}" for number, name in enumerate(one.providers, start=1))

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "kind": self.kind,
            "recipient": self.recipient,
            "mode": self.mode,
            "expires_at": self.deadline.isoformat() if self.deadline else None,
            "channels": [_json(one) for one in self.channels],
        }


def forecast(
    app: App,
    kind: str,
    to: To,
    data: Mapping[str, Any] | None = None,
    *,
    channels: Iterable[str] | None = None,
    at: At | None = None,
    delay: timedelta | str | None = None,
    expires: timedelta | datetime | None = None,
    tenant: str | None = None,
    mode: str = "live",
) -> Forecast:
    """What `send()` with the same arguments would come to. Raises the `RequestError`s that it would raise.

    Without `data`, what the templates would be filled with is not checked.
    """
    if isinstance(to, Everyone | Segment) or not isinstance(to, str | Mapping):
        raise InvalidRecipient(f"explain tells of one recipient, by key or description, not of {to!r:.60}")
    filled = app.kinds.get(kind).sample if data is None else data
    request = Request.checked(
        app,
        kind,
        [to],
        filled,
        channels=channels,
        key=None,
        at=at,
        tenant=tenant,
        attachments=(),
        mode=mode,
        expires=expires,
        delay=delay,
    )
    now = app.clock.now()
    with app.store.read() as connection:
        asked = _Asked.of(app, connection, request, now)
        found = tuple(asked.prospect(connection, channel) for channel in request.channels)
    return Forecast(request.kind.facts.name, asked.person.key, request.mode, request.deadline(now), found)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every channel is asked about."""

    app: App
    request: Request
    tenant_id: UUID
    person: Recipient
    consent: UUID | None
    now: datetime

    @classmethod
    def of(cls, app: App, connection: Connection, request: Request, now: datetime) -> _Asked:
        tenant_id = tenants.tenant_id(connection, request.tenant)
        person = _person(connection, tenant_id, request.recipients[0])
        category = request.kind.facts.category
        agreed = consents.granted(connection, [person.id], [category]) if request.kind.facts.consent else {}
        return cls(app, request, tenant_id, person, agreed.get((person.id, category)), now)

    def prospect(self, connection: Connection, channel: Channel) -> Prospect:
        """The channel's."""
        address = self.person.addresses.get(channel)
        folded = [address.folded] if address else []
        named = suppressions.of_addresses(connection, self.tenant_id, channel, folded, self.app.settings.secrets)
        against = tuple(named.get(address.folded, ())) if address else ()
        found = trail(
            self.request.kind.facts,
            self.person,
            channel,
            against,
            self.now,
            mode=self.request.mode,
            test_recipients=self.app.settings.test_recipients,
            at=self.request.at,
            rules=ruling.rules(self.app, connection, self.tenant_id),
            consent=self.consent,
        )
        outcome, at, reason, rule = self._outcome(found)
        paused = {one.name for one in provider_pauses.listing(connection)}
        return Prospect(
            channel,
            address.value if address else None,
            outcome,
            at,
            reason,
            rule,
            found.looked,
            against,
            tuple(_providers(self.app, channel, paused)),
            tuple(_limits(self.app, self.request.kind.facts, address.value if address else "")),
        )

    def _outcome(self, found: Trail) -> tuple[str, datetime | None, str | None, str | None]:
        decision, deadline = found.decision, self.request.deadline(self.now)
        if isinstance(decision, Skip):
            return "skipped", None, decision.reason, decision.rule
        due = due_at(decision, self.request.at, self.now, deadline)
        until = getattr(decision, "until", due)
        if past(deadline, max(until, self.now)):
            return "dead", None, EXPIRED, f"deadline {deadline:%Y-%m-%d %H:%M:%S} UTC comes first"
        if due > self.now:
            return "queued", due, getattr(decision, "reason", None), decision.rule
        return "sent", None, None, decision.rule


def _person(connection: Connection, tenant_id: UUID, described: Described) -> Recipient:
    """The recipient as the roster knows them, with what the description would change."""
    known = recipients.by_keys(connection, tenant_id, [described.key]).get(described.key)
    change = described.change
    if change is None:
        if known is None:
            raise InvalidRecipient(
                f"no recipient {described.key!r}; describe one: to={{'key': {described.key!r}, 'email': '…'}}"
            )
        return known
    before = known or Recipient(NOBODY, described.key)
    return replace(
        before,
        locale=change.locale or before.locale,
        timezone=change.timezone or before.timezone,
        attributes={**before.attributes, **change.attributes},
        tags=before.tags if change.tags is None else change.tags,
        addresses={**before.addresses, **{one: before.at(one, value) for one, value in change.addresses.items()}},
    )


def _providers(app: App, channel: Channel, paused: set[str]) -> Iterator[str]:
    for one in app.channels.providers(channel):
        facts = [f"share {one.share:.0%}" if one.share is not None else "", f"at most {one.rate}" if one.rate else ""]
        facts.append("paused" if one.name in paused else "")
        said = ", ".join(fact for fact in facts if fact)
        yield f"{one.name} ({said})" if said else one.name


def _limits(app: App, kind: Kind, address: str) -> Iterator[str]:
    settings = app.settings
    own = str(kind.recipient_rate or "") or (None if kind.critical else settings.recipient_rate)
    if own:
        yield f"{kind.name}: no more than {own} to one recipient; the rest later"
    category = app.kinds.category(kind.category)
    if category.throttle is not None and not kind.critical:
        rest = "skipped" if category.over is Over.SKIP and not kind.required else "later"
        yield f"{category.name}: no more than {category.throttle} to one recipient; the rest {rest}"
    domain = address.rpartition("@")[2]
    by_domain = domain_rates(settings.domain_rates or "")
    if domain and (bound := by_domain.get(domain) or by_domain.get("*")):
        yield f"{domain}: no more than {bound}"
    if settings.tenant_rate:
        yield f"tenant: no more than {settings.tenant_rate}"


def _json(one: Prospect) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "address": one.address,
        "outcome": one.outcome,
        "at": one.at.isoformat() if one.at else None,
        "reason": one.reason,
        "rule": one.rule,
        "rules": [{"rule": each.rule, "says": each.says, "decides": each.decides} for each in one.looked],
        "suppressions": [
            {
                "scope": each.scope,
                "reason": each.reason,
                "source": each.source,
                "expires_at": each.expires_at.isoformat() if each.expires_at else None,
            }
            for each in one.suppressions
        ],
        "providers": list(one.providers),
        "limits": list(one.limits),
    }
