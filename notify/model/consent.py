"""What a recipient agreed to, and when: a log to which rows are only ever added, each sealed by the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

GENESIS = "0" * 64
"""What the first entry of a chain names as the digest before it."""


class ConsentAction(StrEnum):
    """What was done."""

    ASKED = "asked"  # double opt-in: a confirmation was asked for, and has not come yet
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Consent:
    """One entry of the log. `source` is where it was said, `wording` what was agreed to, `proof` what shows it.

    The proof is sealed by its digest alone, so that it can go while the chain still holds.
    """

    id: UUID
    recipient_id: UUID
    category: str
    action: ConsentAction
    source: str
    at: datetime
    wording: str = ""
    proof: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry at its place in its tenant's chain: the `number`-th, from 1, after that of digest `previous`."""

    entry: Consent
    tenant_id: UUID
    number: int
    proof_digest: str | None
    previous: str
    digest: str

    @classmethod
    def after(cls, entry: Consent, tenant_id: UUID, number: int, previous: str) -> Sealed:
        """Seal the entry that comes after `number - 1` others."""
        proof = None if entry.proof is None else digest_of(entry.proof)
        return cls(entry, tenant_id, number, proof, previous, _seal(entry, tenant_id, number, proof, previous))

    def fault(self, number: int, previous: str) -> str | None:
        """What shows that the log was changed, when this should be the `number`-th entry after `previous`."""
        if self.number != number:
            return f"{self.number - number} entries before it are missing" if self.number > number else "stands twice"
        if self.previous != previous:
            return "does not follow the entry before it"
        if _seal(self.entry, self.tenant_id, self.number, self.proof_digest, self.previous) != self.digest:
            return "was changed after it was written"
        if self.entry.proof is not None and digest_of(self.entry.proof) != self.proof_digest:
            return "its proof was changed after it was written"
        return None


def digest_of(value: Any) -> str:
    """SHA-256, in hexadecimal, of a JSON value in its one canonical form: sorted names, no blanks, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _seal(entry: Consent, tenant_id: UUID, number: int, proof_digest: str | None, previous: str) -> str:
    return digest_of(
        {
            "tenant": str(tenant_id),
            "number": number,
            "id": str(entry.id),
            "recipient": str(entry.recipient_id),
            "category": entry.category,
            "action": entry.action.value,
            "source": entry.source,
            "wording": entry.wording,
            "proof": proof_digest,
            "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "previous": previous,
        }
    )
