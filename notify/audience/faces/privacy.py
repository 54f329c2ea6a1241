"""`notify.privacy`: what a person may ask of those who hold their data, on this process's App.

notify.privacy.erase("user-42", reason="asked by mail on 3 May")
"""

from __future__ import annotations

from typing import Any

from notify.app import current
from notify.audience import dossier, erasure
from notify.audience.erasure import Erased
from notify.model import APPLICATION


def erase(key: str, reason: str, *, actor: str = APPLICATION, tenant: str | None = None) -> Erased:
    """Forget a person for good; what they refused stays refused. Raises `NotFound` and `StillSending`."""
    return erasure.erase(current(), key, reason=reason, actor=actor, tenant=tenant)


def export_person(key: str, *, actor: str = APPLICATION, tenant: str | None = None) -> dict[str, Any]:
    """Everything that is kept of a person, as JSON values. Raises `NotFound`."""
    return dossier.export_person(current(), key, actor=actor, tenant=tenant)
