"""Every complaint about a kind's files names the file and, where it can be had, the line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from notify.errors import InvalidData, InvalidKind


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a template or in kind.toml; lines count from 1."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"


class Fault(InvalidKind):
    """A mistake in a kind's own files, at `place`."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(f"{place}: {text}")
        self.place = place
        self.text = text


class MissingValue(InvalidData):
    """A template prints a value that this message does not have, at `place`."""

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(f"{place}: {text}")
        self.place = place
        self.text = text
