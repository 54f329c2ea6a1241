"""The contract of a sink: it takes a notice, or says why not; what it says never holds a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from notify.channels.registry import Configured
from notify.model import Notice
from notify.settings import Settings


class Sink(Protocol):
    """One configured URL. `name` is for people and logs: the scheme, and the host where that is no secret."""

    @property
    def name(self) -> str:
        """See above."""

    def tell(self, notice: Notice) -> None:
        """Hand it over. Raises `Unreachable` when it was not taken, or may not have been: it is told again then."""


@dataclass(frozen=True, slots=True)
class House:
    """What a sink may need of the installation: its settings, and the providers of e-mail in their order."""

    settings: Settings
    mailers: Sequence[Configured]
