"""What a recipient agreed to, and when: a log to which rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class ConsentAction(StrEnum):
    """What was done."""

    ASKED = "asked"  # double opt-in: a confirmation was asked for, and has not come yet
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Consent:
    """One entry of the log. `source` is where it was said, `wording` what was agreed to, `proof` what shows it."""

    id: UUID
    recipient_id: UUID
    category: str
    action: ConsentAction
    source: str
    at: datetime
    wording: str = ""
    proof: Mapping[str, Any] | None = None
