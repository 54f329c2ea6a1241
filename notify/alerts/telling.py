"""Telling: each sink by itself, none for longer than it may take, and what it took is stored before the next word."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from notify.alerts.course import APART, due, taken
from notify.app import App
from notify.errors import Unreachable
from notify.model import Alert, Notice, Told, Word
from notify.store import alerts
from notify.telemetry import emit

SECONDS = 60.0  # what is not begun by then is left to a later look


class Ear(Protocol):
    """The log, or a sink. Alerts remember it by its `key`, people know it by its `name`."""

    key: str
    name: str

    def tell(self, notice: Notice) -> None:
        """Hand it over. Raises `Unreachable` when it was not taken."""


@dataclass(slots=True)
class Log:
    """Always there: a telemetry event, which is a line of the log."""

    key: str = "log"
    name: str = "log"

    def tell(self, notice: Notice) -> None:
        """Announce it."""
        alert, word = notice.alert, notice.word
        facts = {"alert": alert.name, "severity": alert.severity, "summary": notice.line}
        if word is Word.CLEARED:
            emit("alert.cleared", **facts)
        else:
            emit("alert.fired", **facts, times=notice.came, reminder=word is Word.REMINDER)


def anything_for(ears: Sequence[Ear], alert: Alert, now: datetime) -> bool:
    """Whether there is something to tell any of these about this alert."""
    return any(due(alert, alert.told.get(ear.key, Told()), now) for ear in ears)


class Telling:
    """These alerts, leased by us, and what each ear knows of them."""

    def __init__(self, app: App, leased: Sequence[Alert]) -> None:
        self._app = app
        self._leased = leased
        self._told = {one.name: dict(one.told) for one in leased}
        self._last = time.monotonic() + SECONDS

    def to_all(self, ears: Sequence[Ear]) -> int:
        """Tell each what it waits for; returns how many words were taken."""
        return sum(self._to(ear) for ear in ears)

    def _to(self, ear: Ear) -> int:
        """One that takes nothing is left alone until the next look: the others must not wait for it."""
        count = 0
        for alert in self._leased:
            now, before = self._app.clock.now(), self._told[alert.name].get(ear.key, Told())
            notice = due(alert, before, now)
            if notice is None:
                continue
            if time.monotonic() > self._last:
                break
            try:
                ear.tell(notice)
            except Unreachable as error:
                self._untaken(ear, alert, before, str(error), now)
                break
            self._note(ear, alert, taken(notice, before, now), told_at=now)
            count += 1
        return count

    def _untaken(self, ear: Ear, alert: Alert, before: Told, why: str, now: datetime) -> None:
        """It is tried again at every look, and said so no oftener than anything else."""
        if before.failed_at is None or now - before.failed_at >= APART:
            emit("alert.untold", alert=alert.name, sink=ear.name, error=why)
            self._note(ear, alert, replace(before, failed_at=now), told_at=None)

    def _note(self, ear: Ear, alert: Alert, told: Told, *, told_at: datetime | None) -> None:
        self._told[alert.name][ear.key] = told
        with self._app.store.begin() as connection:
            alerts.note(connection, alert.name, self._told[alert.name], told_at=told_at)
