"""What this process knows to be stored of links need not be stored again for every mail that has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from uuid import UUID

from notify.store.tracked_links import Target

KEPT_SECONDS = 12 * 3600.0
"""So often at least a link in use is noted as such: retention counts in days from there."""
MOST = 50_000


class LinkBook:
    """Links that are stored, and whose alone each is. May be used from many threads."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[float, UUID | None]] = {}
        self._lock = threading.Lock()

    def has(self, target: Target) -> bool:
        """Whether it is stored, as a link of this recipient's or of several people's."""
        known = self._known.get(target.id)
        return known is not None and time.monotonic() < known[0] and known[1] in (None, target.recipient_id)

    def note(self, stored: Mapping[UUID, UUID | None]) -> None:
        """These are stored and committed. Of too many, those noted first are forgotten."""
        until = time.monotonic() + KEPT_SECONDS
        with self._lock:
            for id_, recipient_id in stored.items():
                self._known.pop(id_, None)
                self._known[id_] = until, recipient_id
            for id_ in list(self._known)[: max(0, len(self._known) - MOST)]:
                del self._known[id_]
