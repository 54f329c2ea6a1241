"""In production nothing goes out that is not transactional and does not say where its sender is and how to leave it.

CAN-SPAM Act, 15 U.S.C. §7704(a)(3) and (5).
"""

from __future__ import annotations

from collections.abc import Iterator

from notify.app import App
from notify.errors import InvalidKind, InvalidSettings, RequestError
from notify.kinds import CompiledKind, footer
from notify.kinds.check import Problem
from notify.settings import Environment

OTHERWISE = "or write transactional = true in kind.toml if it answers something that the recipient did"


def require(app: App, kind: CompiledKind) -> None:
    """Raise `InvalidSettings` or `InvalidKind` for a kind that production may not send like this."""
    name = kind.facts.name
    for setting, lacking, remedy in _unset(app, kind):
        raise InvalidSettings(f"{setting}: {name} is not transactional, and {lacking}\nNext: {remedy}.")
    if app.settings.env is Environment.PRODUCTION:
        for complaint in footer.undeclared(kind.facts):
            raise InvalidKind(f"{name}: {complaint}")


def lacking(app: App) -> list[Problem]:
    """The operator's own kinds that production would not send for want of a setting.

    Those that ship with notify may lie unused.
    """
    found = []
    for name in app.kinds.names():
        path = app.settings.templates_dir / name / "kind.toml"
        if not path.is_file():
            continue
        try:
            kind = app.kinds.get(name)
        except RequestError:
            continue  # the check of kinds tells why
        for _, what, remedy in _unset(app, kind):
            found.append(Problem(name, path, None, f"is not transactional, and {what}: {remedy}"))
    return found


def _unset(app: App, kind: CompiledKind) -> Iterator[tuple[str, str, str]]:
    """Setting, what is missing without it, and the remedy."""
    settings = app.settings
    if settings.env is not Environment.PRODUCTION or kind.facts.transactional:
        return
    if settings.postal_address is None:
        remedy = f"set NOTIFY_POSTAL_ADDRESS (and NOTIFY_ORGANISATION), {OTHERWISE}"
        yield "NOTIFY_POSTAL_ADDRESS", "its footer would lack the sender's postal address", remedy
    if settings.unsubscribe_page is None:
        remedy = (
            "set NOTIFY_PUBLIC_URL to where the world reaches `notify web` (or NOTIFY_UNSUBSCRIBE_URL to a page of "
            f"your own), {OTHERWISE}"
        )
        yield "NOTIFY_PUBLIC_URL", "nobody could leave it, for there is no page to link to", remedy
