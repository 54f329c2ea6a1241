"""What a recipient, or a whole tenant, wants to receive: by category and channel, and at which hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

from notify.model.kind import Channel

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for no end."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the recipient's day in which nothing comes that can wait: `start` until `end`, also over midnight."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Quiet:
        """Read `22:00-07:00`. Raises `ValueError`."""
        start, dash, end = text.partition("-")
        if not dash:
            raise ValueError(f"{text!r} is no span of hours such as 22:00-07:00")
        return cls(time.fromisoformat(start.strip()), time.fromisoformat(end.strip()))

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Preferences:
    """`choices` holds what was chosen, and nothing for what was not: then the tenant's choice counts, else yes.

    Until `paused_until` only required kinds come. Until `undisturbed_until` what can wait is held as in quiet hours.
    `FOREVER` stands for no end: until the recipient says otherwise.
    """

    choices: Mapping[str, Mapping[Channel, bool]] = field(default_factory=dict)
    quiet: Quiet | None = None
    paused_until: datetime | None = None
    undisturbed_until: datetime | None = None

    @classmethod
    def of_json(cls, stored: Mapping[str, Any] | None) -> Preferences:
        """From the form in which the database keeps them."""
        if not stored:
            return NONE
        return cls(
            choices={
                category: {Channel(name): bool(chosen) for name, chosen in row.items()}
                for category, row in stored.get("choices", {}).items()
            },
            quiet=Quiet.parse(stored["quiet"]) if stored.get("quiet") else None,
            paused_until=_moment(stored.get("paused_until")),
            undisturbed_until=_moment(stored.get("undisturbed_until")),
        )

    def as_json(self) -> dict[str, Any]:
        """The form in which the database keeps them: empty when nothing was chosen."""
        choices = {category: dict(row) for category, row in self.choices.items() if row}
        said = {
            "choices": choices,
            "quiet": str(self.quiet) if self.quiet else None,
            "paused_until": self.paused_until.isoformat() if self.paused_until else None,
            "undisturbed_until": self.undisturbed_until.isoformat() if self.undisturbed_until else None,
        }
        return {name: value for name, value in said.items() if value}

    def choice(self, category: str, channel: Channel) -> bool | None:
        """What was chosen; None when nothing was."""
        return self.choices.get(category, {}).get(channel)


NONE = Preferences()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
