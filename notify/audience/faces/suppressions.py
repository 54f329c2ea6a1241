"""`notify.suppressions`: addresses that must not be used, on this process's App.

    notify.suppressions.add("ada@example.org", reason="unsubscribed", scope="newsletter")

Arguments and errors are those of `notify.audience.suppressing`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from notify.app import current
from notify.audience import suppressing
from notify.audience.suppressing import Standing
from notify.model import APPLICATION
from notify.store.suppressions import Kept


def add(
    address: str,
    *,
    channel: str = "email",
    reason: str = "manual",
    scope: str = "all",
    expires: timedelta | datetime | None = None,
    note: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> bool:
    """Suppress an address, for everything or for one category; False when it stands already, as strong and as long."""
    return suppressing.add(
        current(),
        address,
        actor=actor,
        channel=channel,
        reason=reason,
        scope=scope,
        expires=expires,
        note=note,
        source=APPLICATION,
        tenant=tenant,
    )


def remove(
    address: str,
    *,
    reason: str,
    channel: str = "email",
    scope: str | None = None,
    force: bool = False,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> list[Kept]:
    """Let an address be used again, and say why; `force` where the person said no and has changed their mind."""
    return suppressing.remove(
        current(), address, actor=actor, reason=reason, channel=channel, scope=scope, force=force, tenant=tenant
    )


def show(address: str, *, channel: str = "email", tenant: str | None = None) -> Standing:
    """Everything that stands against an address, and who has it."""
    return suppressing.show(current(), address, channel=channel, tenant=tenant)
