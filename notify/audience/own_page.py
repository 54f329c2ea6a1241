"""The link to a recipient's own page, the preference centre: it opens for them alone, and for a while."""

from __future__ import annotations

from datetime import timedelta

from notify.app import App
from notify.audience import links
from notify.audience.person import Who, person
from notify.errors import InvalidSettings

LASTS = timedelta(days=30)


def link(app: App, who: Who, *, lasts: timedelta = LASTS, tenant: str | None = None) -> str:
    """An absolute address. Raises `NotFound`, and `InvalidSettings` without NOTIFY_PUBLIC_URL."""
    with app.store.read() as connection:
        holder = person(connection, who, tenant)
    signed = links.sign(app, "preferences", holder.id, expires=app.clock.now() + lasts)
    url = links.url(app.settings, "preferences", signed)
    if url is None:
        raise InvalidSettings(
            "NOTIFY_PUBLIC_URL: is not set, and a link needs it\n"
            "Next: set it to where `notify web` is reached, such as https://notify.example.org"
        )
    return url
