"""Who changes something from Python: the application, unless it says on whose behalf."""

from __future__ import annotations

from notify.model import Author, Source


def author(actor: str, reason: str | None) -> Author:
    """As it stands in histories."""
    return Author(actor, Source.PYTHON, reason)
