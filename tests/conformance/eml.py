"""A folder: no server, no refusal, no doubt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.driver import PATIENT, Arrived, Driver, Mood, from_mime

SERVES = "notify.channels.email.eml:EmlFolder"


@dataclass
class Folder:
    """A `Driver` that reads what was written."""

    folder: Path
    moods: frozenset[Mood] = frozenset({Mood.ACCEPTING})
    secret: str | None = None
    forwards_key: bool = False
    tags: bool = False
    mood: Mood = Mood.ACCEPTING

    def url(self, *, port: int | None = None, timeout: float = PATIENT) -> str:
        assert port is None
        return f"eml://{self.folder}"

    def handed_over(self) -> int:
        return len(list(self.folder.glob("*.eml")))

    def arrived(self) -> list[Arrived]:
        return [from_mime(path.read_bytes(), secret=None) for path in sorted(self.folder.glob("*.eml"))]


@contextmanager
def serving(folder: Path) -> Iterator[Driver]:
    yield Folder(folder / "mails")
