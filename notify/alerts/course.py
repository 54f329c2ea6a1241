"""The course of an alert, decided without I/O: each occurrence fires once, and is told no oftener than is bearable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notify.model import Alert, AlertState, Notice, Severity, Told, Word

CLEAR_AFTER = timedelta(minutes=1)  # a provider that comes and goes is one alert, not many
APART = timedelta(minutes=5)
REMIND_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds at this look. Unless it is `at_once` it must hold at two looks, one after the other.

    `anew`: it is not the occurrence that was told any more, but the next, without a pause between them.
    """

    name: str
    severity: Severity
    summary: str
    at_once: bool = True
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What holds at this look, and of which alerts nobody can say whether they do: those stay as they are."""

    conditions: tuple[Condition, ...]
    unknown: frozenset[str] = frozenset()


def follow(known: Mapping[str, Alert], sight: Sight, now: datetime) -> list[Alert]:
    """The alerts that this look changes, as they are after it."""
    held = {condition.name for condition in sight.conditions}
    gone = [one for name, one in known.items() if name not in held | sight.unknown and _over(one, now)]
    return [
        *(_holding(known.get(condition.name), condition, now) for condition in sight.conditions),
        *(replace(one, state=AlertState.CLEARED, cleared_at=now) for one in gone),
    ]


def due(alert: Alert, told: Told, now: datetime) -> Notice | None:
    """What a sink that was told this so far is to be told now."""
    since = None if told.at is None else now - told.at
    new = not told.fired or alert.times > told.times
    if alert.state is AlertState.FIRING and new and (since is None or since >= APART):
        return Notice(alert, Word.FIRED, came=1 if since is None else alert.times - told.times)
    if alert.state is AlertState.FIRING and told.fired and since is not None and since >= REMIND_AFTER:
        return Notice(alert, Word.REMINDER, came=alert.times - told.times)
    if alert.state is AlertState.CLEARED and told.fired:
        return Notice(alert, Word.CLEARED)
    return None


def taken(notice: Notice, told: Told, now: datetime) -> Told:
    """What the sink has been told once it took this."""
    if notice.word is Word.CLEARED:
        return replace(told, fired=False, failed_at=None)
    return Told(fired=True, at=now, times=notice.alert.times)


def _holding(alert: Alert | None, condition: Condition, now: datetime) -> Alert:
    """Where an alert stands when its condition holds; a new one begins."""
    state = AlertState.CLEARED if alert is None else alert.state
    began, times = (now, 0) if alert is None else (alert.fired_at, alert.times)
    if state is AlertState.CLEARED:
        began, state = now, AlertState.FIRING if condition.at_once else AlertState.PENDING
        times += condition.at_once
    elif state is AlertState.PENDING:
        state, times = AlertState.FIRING, times + 1
    elif condition.anew:
        began, times = now, times + 1
    return Alert(
        name=condition.name,
        state=state,
        severity=condition.severity,
        summary=condition.summary,
        fired_at=began,
        seen_at=now,
        cleared_at=None,
        times=times,
        told=alert.told if alert else {},
    )


def _over(alert: Alert, now: datetime) -> bool:
    if alert.state is AlertState.FIRING:
        return now - alert.seen_at >= CLEAR_AFTER
    return alert.state is AlertState.PENDING
