"""What a tenant rules for all its recipients; what a recipient chose comes first, where it may choose."""

from __future__ import annotations

from dataclasses import dataclass

from notify.model import Preferences
from notify.model.preferences import NONE


@dataclass(frozen=True, slots=True)
class Rules:
    """`defaults` are the choices and quiet hours of who chose nothing; `timezone` is that of who has none."""

    defaults: Preferences = NONE
    require_verified: bool = False
    timezone: str = "UTC"


NO_RULES = Rules()
