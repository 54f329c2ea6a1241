"""What an operator is told without asking: inert, as every row and notice of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertState(StrEnum):
    """Whether what an alert tells of holds: seen once, seen long enough to be told, or gone."""

    PENDING = "pending"
    FIRING = "firing"
    CLEARED = "cleared"


class Severity(StrEnum):
    """How bad it is, in the words of PagerDuty's Events API v2."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Told:
    """What one sink was last told of an alert.

    `fired` says whether that was that it holds; `at` when it last took such a word, and `times` how often the alert had
    fired by then. `failed_at` is when it was last announced that the sink takes nothing.
    """

    fired: bool = False
    at: datetime | None = None
    times: int = 0
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that an operator should know, and who was told.

    It held from `fired_at` to `seen_at` at least; `times` counts how often it has fired. `told` has the sinks by key.
    """

    name: str
    state: AlertState
    severity: Severity
    summary: str
    fired_at: datetime
    seen_at: datetime
    cleared_at: datetime | None
    times: int
    told: Mapping[str, Told]


class Word(StrEnum):
    """What there is to tell of an alert: it holds, it still holds, it is over."""

    FIRED = "fired"
    REMINDER = "reminder"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Notice:
    """One word about an alert, for one sink. `came` counts how often it fired since that sink was last told."""

    alert: Alert
    word: Word
    came: int = 1

    @property
    def id(self) -> str:
        """The same for the same word, however often it is told: receivers drop what they had."""
        day = f"/{self.alert.seen_at:%Y-%m-%d}" if self.word is Word.REMINDER else ""
        return f"{self.alert.name}/{self.alert.fired_at.isoformat()}/{self.word}{day}"

    @property
    def line(self) -> str:
        """The whole of it as one line of text."""
        what, _, step = self.alert.summary.partition(" Next: ")
        match self.word:
            case Word.CLEARED:
                return f"over: {what}"
            case Word.REMINDER:
                what = f"still, since {self.alert.fired_at:%Y-%m-%d %H:%M} UTC: {what}"
        often = f" It came {self.came} times since this was last told." if self.came > 1 else ""
        return f"{what}{often}" + (f" Next: {step}" if step else "")
