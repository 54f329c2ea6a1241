"""What a tenant rules for all its recipients: its own choices over those of the categories, and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from notify.app import App
from notify.errors import InvalidKind
from notify.model import Channel, Preferences
from notify.policy import Rules
from notify.store import Connection, tenants


def rules(app: App, connection: Connection, tenant_id: UUID) -> Rules:
    """The rules in force, read within the last two seconds: for each plan and each claim, never for each message."""
    return app.rule_book.of(tenant_id, lambda: _read(app, connection, tenant_id))


def _read(app: App, connection: Connection, tenant_id: UUID) -> Rules:
    chosen = tenants.preferences(connection, tenant_id)
    defaults = replace(chosen, choices=choices(app, chosen))
    return Rules(defaults, app.settings.require_verified, app.settings.default_timezone)


def choices(app: App, chosen: Preferences) -> Mapping[str, Mapping[Channel, bool]]:
    """What counts for who chose nothing, where anything was said: `chosen` by the tenant over `categories.toml`."""
    try:
        described = app.kinds.described
    except InvalidKind:  # no kind can be used either, and each of them says so
        described = {}
    said = {name: category.default for name, category in described.items() if category.default}
    named = [*said, *(name for name in chosen.choices if name not in said)]
    return {name: {**said.get(name, {}), **chosen.choices.get(name, {})} for name in named}
