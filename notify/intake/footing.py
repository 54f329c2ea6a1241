"""In production nothing goes out that is not transactional and lacks the sender's postal address (15 U.S.C. §7704)."""

from __future__ import annotations

from notify.app import App
from notify.errors import InvalidSettings, RequestError
from notify.kinds import CompiledKind
from notify.kinds.check import Problem
from notify.settings import Environment

REMEDY = (
    "set NOTIFY_POSTAL_ADDRESS (and NOTIFY_ORGANISATION), or write transactional = true in kind.toml if it answers "
    "something that the recipient did"
)


def require_address(app: App, kind: CompiledKind) -> None:
    """Raise `InvalidSettings` for a kind that would go out without an address that it needs."""
    if _lacks(app, kind):
        raise InvalidSettings(
            f"NOTIFY_POSTAL_ADDRESS: {kind.facts.name} is not transactional, and its footer would lack the sender's "
            f"postal address\nNext: {REMEDY}."
        )


def unaddressed(app: App) -> list[Problem]:
    """The operator's own kinds that production would not send. Those that ship with notify may lie unused."""
    found = []
    for name in app.kinds.names():
        path = app.settings.templates_dir / name / "kind.toml"
        if not path.is_file():
            continue
        try:
            kind = app.kinds.get(name)
        except RequestError:
            continue  # the check of kinds tells why
        if _lacks(app, kind):
            found.append(Problem(name, path, None, f"is not transactional, and no postal address is set: {REMEDY}"))
    return found


def _lacks(app: App, kind: CompiledKind) -> bool:
    settings = app.settings
    production = settings.env is Environment.PRODUCTION
    return production and not kind.facts.transactional and settings.postal_address is None
