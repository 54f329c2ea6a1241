"""What a tenant rules for its recipients is read once in two seconds, not once for every plan and claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from notify.policy import Rules

KEPT_SECONDS = 2.0


class RuleBook:
    """The rules of tenants, as this process last read them. May be used from many threads."""

    def __init__(self) -> None:
        self._kept: dict[UUID, tuple[float, Rules]] = {}

    def of(self, tenant_id: UUID, read: Callable[[], Rules]) -> Rules:
        """The tenant's rules, from `read` when they were not read lately."""
        kept = self._kept.get(tenant_id)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        rules = read()
        self._kept[tenant_id] = time.monotonic() + KEPT_SECONDS, rules
        return rules

    def forget(self, tenant_id: UUID) -> None:
        """They have changed."""
        self._kept.pop(tenant_id, None)
