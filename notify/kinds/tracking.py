"""What a kind.toml says of [tracking]: nothing is tracked unasked, and nothing essential by accident."""

from __future__ import annotations

from dataclasses import dataclass

from notify.kinds.toml import Toml
from notify.model import Tracking

SECTION = "tracking"
_KEYS = ("opens", "clicks", "although_required")


@dataclass(frozen=True, slots=True)
class Asked:
    """What [tracking] asks for. `although_required` says that it is meant where nobody can leave the kind, too."""

    tracking: Tracking
    although_required: bool


def asked(toml: Toml) -> Asked:
    """The table [tracking], or its absence. Raises InvalidKind naming the line."""
    table = toml.optional(SECTION, dict, {})
    toml.refuse_unknown(table, _KEYS, SECTION)
    for key, value in table.items():
        if not isinstance(value, bool):
            raise toml.fault(key, SECTION, f"{key} must be true or false, not {value!r}")
    tracking = Tracking(table.get("opens", False), table.get("clicks", False))
    return Asked(tracking, table.get("although_required", False))


def complaint(asked: Asked, *, required: bool, critical: bool) -> str | None:
    """Why a kind may not be tracked; None: it may, or is not. `required` is what its category says, too."""
    if not asked.tracking or asked.although_required or not (required or critical):
        return None
    what = "required" if required else "critical"
    return (
        f"[tracking] in a kind that is {what}: whoever reads it has no choice; give up tracking, or write "
        "although_required = true in [tracking] if it is meant"
    )
