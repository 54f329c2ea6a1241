"""Limits that all workers share: per provider, tenant and receiving domain, and per recipient and kind or category.

What a limit holds back is put off, untried and at no cost, to a time that is promised from a queue of its own for each
tenant and lane; it is never sent early, and never dropped, but where its category says so (`over = "skip"`). A thread
only waits for an opening that is near.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from redis import RedisError

from notify.app import App
from notify.channels.email.address import ascii_form
from notify.delivery.pacing import Openings, promised
from notify.delivery.quotas import Quotas
from notify.errors import InvalidAddress, RequestError
from notify.kinds.categories import Over
from notify.model import Batch, Kind, Mode
from notify.rates import Rate, domain_rates, rate
from notify.store.work import Work
from notify.telemetry import emit

PROMISE_SECONDS = 300.0  # nothing is promised for later: the limit may be idle by then
OVERBOOKED = 1.1  # a worker that asks in vain costs less than an opening that nobody wants
STAY_SECONDS = 2.0  # what waits for one domain is promised in portions of so much
ASK_SECONDS = 1.0  # a batch is promised a time so long after the one before it, at most: that one may be over sooner
MOST_DOMAINS = 10_000  # of which a process keeps openings

PROMISE = """
local now, count, rate, lead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local until_ = math.max(tonumber(redis.call('ZSCORE', KEYS[1], ARGV[5]) or 0), now + lead)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], string.format('%.6f', until_), ARGV[5])
local members = redis.call('ZCARD', KEYS[1])
redis.call('ZADD', KEYS[1], string.format('%.6f', until_ + count * members / rate), ARGV[5])
redis.call('EXPIRE', KEYS[1], 3600)
return string.format('%.6f', until_)
"""
"""When a member's next messages may come: each further one moves its own queue by its share of the rate."""

RECIPIENTS = """
local now, most, span, times = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), {}
local longest = math.ceil(span)
for i = 1, #KEYS do
  local id, at = ARGV[4 + i], now
  if not redis.call('SET', KEYS[i], ARGV[1] .. id, 'NX', 'EX', longest) then
    local first = redis.pcall('GET', KEYS[i])
    if type(first) == 'string' then
      redis.call('DEL', KEYS[i])
      redis.call('ZADD', KEYS[i], first:sub(1, -17), first:sub(-16))
    end
    local known = redis.call('ZSCORE', KEYS[i], id)
    at = tonumber(known or 0)
    if at <= now then
      at = now
      redis.call('ZREM', KEYS[i], id)
      redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.6f', now - span))
      local rank = -most
      if known then rank = redis.call('ZCOUNT', KEYS[i], '-inf', string.format('%.6f', now)) - most end
      if rank >= 0 or not known then
        local before = redis.call('ZRANGE', KEYS[i], rank, rank, 'WITHSCORES')
        if before[2] then at = math.max(now, tonumber(before[2]) + span) end
      end
      if at <= now or ARGV[4] == '1' then
        redis.call('ZADD', KEYS[i], string.format('%.6f', at), id)
      end
    end
    local last = redis.call('ZRANGE', KEYS[i], -1, -1, 'WITHSCORES')
    if last[2] then redis.call('EXPIRE', KEYS[i], math.ceil(tonumber(last[2]) - now + span)) end
  end
  if at > now then times[#times + 1] = {i, string.format('%.6f', at)} end
end
return times
"""
"""Which messages have to wait, and until when: the span that ends then holds fewer than the rate without it.

A message that comes again is counted once, at the last time; who comes when it was promised to does not wait for the
promises of those behind it. KEYS are the recipients', ARGV now, the most, the span in seconds, 1 when a later time is
promised, and each message's id. The first of a recipient is one value, which costs Redis a third of a set.
"""


@dataclass(frozen=True, slots=True)
class Later:
    """A limit has no opening near. `seconds` are how much too far away it is."""

    limit: Openings
    seconds: float

    @property
    def rule(self) -> str:
        """What decided, for who asks why."""
        return f"{self.limit.name}: no more than {self.limit.rate}: not tried, costs no attempt"


@dataclass(frozen=True, slots=True)
class Delayed:
    """Messages that wait until `until`, or go no further if it is to `skip` them, and the rule that says so."""

    works: list[Work]
    until: datetime
    rule: str
    skip: bool = False


@dataclass(frozen=True, slots=True)
class _Share:
    """The most of a kind, or of a category, to one recipient."""

    name: str
    rate: Rate
    what: str
    skip: bool = False

    @property
    def rule(self) -> str:
        return f"{self.what}: no more than {self.rate} to one recipient"


class Limits:
    """The limits of one installation, and what this process has reserved of them. Threads share it."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        settings = app.settings
        self.clock = clock
        self.app = app
        self.quotas = Quotas(app.channels.every().values(), clock)
        self._tenant = rate(settings.tenant_rate) if settings.tenant_rate else None
        self._recipient = rate(settings.recipient_rate) if settings.recipient_rate else None
        self._domains = {_ascii(name): each for name, each in domain_rates(settings.domain_rates or "").items()}
        self._openings: dict[tuple[str, Rate], Openings] = {}
        self._lock = threading.Lock()
        self._promise = app.redis.register_script(PROMISE)
        self._recipients = app.redis.register_script(RECIPIENTS)

    def whole(self, batch: Batch, provider: str, provider_rate: Rate | None) -> tuple[Openings, ...]:
        """The limits that every message of this batch is under at this provider."""
        tenant = () if self._tenant is None else (self.openings(f"tenant:{batch.tenant_id}", self._tenant),)
        if provider_rate is None:
            return tenant
        return (*tenant, self.openings(f"provider:{provider}", provider_rate))

    def openings(self, name: str, each: Rate) -> Openings:
        """The openings of the limit of this name."""
        with self._lock:
            found = self._openings.get((name, each))
            if found is None:
                if len(self._openings) >= MOST_DOMAINS:
                    self._openings.clear()  # whoever has one of them at work keeps it
                found = self._openings[name, each] = Openings(self.app.redis, name, each, self.clock)
            return found

    @property
    def by_domain(self) -> bool:
        """Whether there are limits for receiving domains."""
        return bool(self._domains)

    def of_domain(self, domain: str) -> Openings | None:
        """The limit of a receiving domain; None when it has none."""
        domain = _ascii(domain)
        each = self._domains.get(domain) or self._domains.get("*")
        return None if each is None else self.openings(f"domain:{domain}", each)

    def promise(self, later: Later, batch: Batch, messages: int) -> datetime:
        """When so many messages of this batch may come again: at the end of the queue of their tenant and lane."""
        now = self.app.clock.now().timestamp()
        per_second = OVERBOOKED * later.limit.rate.per_second
        messages = max(1, min(messages, int(per_second * ASK_SECONDS)))
        asked: list[str | float] = [
            f"{now:.6f}",
            messages,
            per_second,
            min(later.seconds, PROMISE_SECONDS),
            member(batch),
        ]
        try:
            until = float(self._promise([promised(later.limit.name)], asked))
        except (RedisError, OSError):
            until = now + max(later.seconds, 1.0)
        if until > now + PROMISE_SECONDS:  # then so that not all of them ask at the same time
            until = now + PROMISE_SECONDS / 2 + until % (PROMISE_SECONDS / 2)
        return datetime.fromtimestamp(until, UTC)

    def portions(self, later: Later, batch: Batch, works: Sequence[Work]) -> Iterator[Delayed]:
        """Promise a time to each portion of messages that one limit holds back."""
        size = max(1, int(later.limit.rate.per_second * STAY_SECONDS))
        for start in range(0, len(works), size):
            part = list(works[start : start + size])
            yield Delayed(part, self.promise(later, batch, len(part)), later.rule)

    def counts(self, kind: str) -> bool:
        """Whether a message of this kind takes a share of its recipient's."""
        return self._of_kind(kind) is not None or self._of_category(kind) is not None

    def recipients(self, works: Sequence[Work]) -> list[Delayed]:
        """Those of these messages whose recipients had their share of the kind, by when they may go. Never dropped.

        The others are counted as handed over, each message once, however often it is tried.
        """
        return self._over(works, self._of_kind)

    def categories(self, works: Sequence[Work]) -> list[Delayed]:
        """The same of their kinds' categories: those over are delayed or skipped, as the category says."""
        return self._over(works, self._of_category)

    def _over(self, works: Sequence[Work], share_of: Callable[[str], _Share | None]) -> list[Delayed]:
        shares = {kind: share_of(kind) for kind in {work.occasion.kind for work in works}}
        limited: dict[_Share, list[Work]] = defaultdict(list)
        for work in works:
            share = shares[work.occasion.kind]
            if share is not None and work.occasion.mode is not Mode.DRY_RUN:
                limited[share].append(work)
        return [held for share, group in limited.items() for held in self._beyond(share, group)]

    def _beyond(self, share: _Share, works: Sequence[Work]) -> list[Delayed]:
        """Those of these messages whose recipients had this share; the others are counted."""
        now = self.app.clock.now().timestamp()
        keys = [f"notify:limit:recipient:{share.name}:{work.recipient.id.hex}" for work in works]
        told: list[str | float | bytes] = [
            f"{now:.6f}",
            *_most(share.rate),
            int(not share.skip),
            *[work.id.bytes for work in works],
        ]
        try:
            times = self._recipients(keys, told)
        except (RedisError, OSError) as error:
            emit("limits.local", limit="recipient", rate="not kept", error=str(error))
            return []
        waiting: dict[float, list[Work]] = defaultdict(list)
        for number, text in times:  # from 1
            waiting[float(text)].append(works[number - 1])
        return [Delayed(held, datetime.fromtimestamp(at, UTC), share.rule, share.skip) for at, held in waiting.items()]

    def _of_kind(self, name: str) -> _Share | None:
        facts = self._facts(name)
        if facts is None:
            return None
        each = facts.recipient_rate or (None if facts.critical else self._recipient)
        return None if each is None else _Share(name, each, name)

    def _of_category(self, name: str) -> _Share | None:
        """What is critical is under none, and what is required is delayed at most."""
        facts = self._facts(name)
        if facts is None or facts.critical:
            return None
        category = self.app.kinds.described.get(facts.category)
        if category is None or category.throttle is None:
            return None
        skip = category.over is Over.SKIP and not facts.required
        return _Share(f"category:{category.name}", category.throttle, category.name, skip)

    def _facts(self, name: str) -> Kind | None:
        try:
            return self.app.kinds.get(name).facts
        except RequestError:  # it has gone, or is broken: its messages die of that
            return None


def member(batch: Batch) -> str:
    """Who queues: each tenant on each lane has a share of its own."""
    return f"{batch.tenant_id}:{batch.channel}.{batch.lane}"


def _most(each: Rate) -> tuple[int, float]:
    """How many in which span of seconds; below one it is one in a longer span."""
    return (int(each.count), each.seconds) if each.count >= 1 else (1, each.seconds / each.count)


def _ascii(domain: str) -> str:
    """The domain as A-labels; what has no such form is left as it is, and no address matches it."""
    try:
        return ascii_form(f"x@{domain}").rpartition("@")[2]
    except InvalidAddress:
        return domain
