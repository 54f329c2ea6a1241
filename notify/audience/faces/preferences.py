"""`notify.preferences`: what recipients choose, on this process's App.

    notify.preferences.set("user-42", "newsletter", "email", False)
    notify.preferences.quiet("user-42", "22:00-07:00")

Those that change something take `reason` and `actor`, which stand in the recipient's history, and return whether
anything was changed. They raise `InvalidChoice` for what cannot be chosen, `NotFound` without such a recipient.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from notify import app as apps
from notify.audience import preferences
from notify.audience.faces.author import author
from notify.audience.preferences import Matrix
from notify.model import APPLICATION


def get(key: str, *, tenant: str | None = None) -> Matrix:
    """What holds for a recipient, for every category and channel in use."""
    return preferences.get(apps.current(), key, tenant=tenant)


def set(
    key: str,
    category: str,
    channel: str,
    on: bool | None,
    *,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> bool:
    """Choose whether a category comes on a channel; None forgets the choice, so that the tenant's counts."""
    return choose(key, {(category, channel): on}, reason=reason, actor=actor, tenant=tenant)


def choose(
    key: str,
    cells: Mapping[tuple[str, str], bool | None],
    *,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> bool:
    """Many choices at once, by category and channel: all of them or, when one cannot be, none."""
    return preferences.choose(apps.current(), key, cells, by=author(actor, reason), tenant=tenant)


def pause(
    key: str,
    until: datetime | None = None,
    *,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> bool:
    """Hold back all that is not required until then (aware); without a time, until `resume`."""
    return preferences.pause(apps.current(), key, until, by=author(actor, reason), tenant=tenant)


def resume(key: str, *, reason: str | None = None, actor: str = APPLICATION, tenant: str | None = None) -> bool:
    """End a pause."""
    return preferences.resume(apps.current(), key, by=author(actor, reason), tenant=tenant)


def quiet(
    key: str, hours: str | None, *, reason: str | None = None, actor: str = APPLICATION, tenant: str | None = None
) -> bool:
    """Quiet hours of the recipient's day, such as `22:00-07:00`; None: those of the tenant."""
    return preferences.quiet(apps.current(), key, hours, by=author(actor, reason), tenant=tenant)


def do_not_disturb(
    key: str, until: datetime | None, *, reason: str | None = None, actor: str = APPLICATION, tenant: str | None = None
) -> bool:
    """Treat the time until then (aware) as quiet hours; None: no longer."""
    return preferences.do_not_disturb(apps.current(), key, until, by=author(actor, reason), tenant=tenant)


def reset(key: str, *, reason: str | None = None, actor: str = APPLICATION, tenant: str | None = None) -> bool:
    """Forget whatever the recipient chose."""
    return preferences.reset(apps.current(), key, by=author(actor, reason), tenant=tenant)


def set_default(
    category: str,
    channel: str,
    on: bool | None,
    *,
    reason: str | None = None,
    actor: str = APPLICATION,
    tenant: str | None = None,
) -> bool:
    """Choose for the tenant's recipients who chose nothing; None: as `categories.toml` says, else yes."""
    return preferences.set_default(apps.current(), {(category, channel): on}, by=author(actor, reason), tenant=tenant)


def set_default_quiet(
    hours: str | None, *, reason: str | None = None, actor: str = APPLICATION, tenant: str | None = None
) -> bool:
    """Quiet hours of the tenant's recipients who have none of their own; None: none."""
    return preferences.set_default_quiet(apps.current(), hours, by=author(actor, reason), tenant=tenant)
