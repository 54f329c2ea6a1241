"""What was begun last on each line: the journal learns when that was accepted, for another batch goes out there next.

Else a worker that dies while it settles leaves a message in doubt for each line, though every answer had come.
"""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress
from uuid import UUID

from notify.channels.provider import Envelope
from notify.delivery.journal import Journal
from notify.errors import Unreachable


class Lines:
    """The lines of one batch at one provider. Nothing here raises: what Redis does not learn is in doubt, not lost."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._last: dict[int, Envelope] = {}
        self._fed = False

    def begun(self, envelope: Envelope, line: int) -> None:
        """Its hand-over begins on this line."""
        self._last[line] = envelope

    def fed(self, unanswered: Container[int]) -> None:
        """Nothing more is begun: what is accepted from now on is the last of its line, and so may be what was before.

        `unanswered` holds the id() of each envelope that waits for its answer.
        """
        self._fed = True
        for envelope in self._last.values():
            if id(envelope) not in unanswered:
                self._note(envelope.message_id)

    def accepted(self, message_id: UUID) -> None:
        """The provider took it."""
        if self._fed:
            self._note(message_id)

    def close(self) -> None:
        """All is answered. Nothing is left unread on the journal's connection."""
        with suppress(Unreachable):
            self._journal.safe()

    def _note(self, message_id: UUID) -> None:
        with suppress(Unreachable):
            self._journal.accepted(message_id)
