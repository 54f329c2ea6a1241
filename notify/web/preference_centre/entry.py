"""A form of the page as it was sent: its fields by name, and the error for one that cannot be followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 400  # characters of a field that are looked at


class Refused(Exception):
    """A form that cannot be followed: why, in the visitor's words, and which field is to blame."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field


@dataclass(frozen=True, slots=True)
class Entry:
    """Names may come more than once."""

    fields: Sequence[tuple[str, str]]

    @property
    def section(self) -> str:
        """Which of the page's forms it is."""
        return self.one("section")

    @property
    def act(self) -> str:
        """The button that was pressed."""
        return self.one("act")

    def one(self, name: str) -> str:
        """The field's value, without blanks around it; empty when there is none."""
        return next((value.strip()[:LONGEST] for given, value in self.fields if given == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of the field."""
        return [value for given, value in self.fields if given == name]
