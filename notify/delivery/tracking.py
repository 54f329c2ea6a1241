"""A tracked mail's links lead through us, and it says when it is opened; the same message is always marked alike."""

from __future__ import annotations

from html import escape

from notify.channels.email import html_links
from notify.channels.email import tracking as addresses
from notify.model import Kind, Mode
from notify.passages import Passage
from notify.settings import Settings
from notify.store.tracked_links import Target
from notify.store.work import Work

OWN_PAGES = ("unsubscribe", "preferences", "confirm", "verify")
_GOES_ON = ("?", "#", "/", "&")  # what may follow the address of a page


def marked(settings: Settings, kind: Kind, work: Work, html: Passage) -> tuple[Passage, tuple[Target, ...]]:
    """The mail as it is tracked, and where its links lead. A dry run is not tracked, nor is anything without pages."""
    root = settings.public_url
    if not kind.tracking or root is None or work.occasion.mode is Mode.DRY_RUN:
        return html, ()
    secret, tenant_id = settings.secret_key.get_secret_value(), work.occasion.tenant_id
    pages = _our_pages(settings)
    below = tuple(page + sign for page in pages for sign in _GOES_ON)
    targets: dict[str, Target] = {}

    def through_us(url: str) -> str | None:
        if not kind.tracking.clicks or url in pages or url.startswith(below):
            return None
        target = targets.get(url)
        if target is None:
            id_ = addresses.link_id(tenant_id, url)
            target = targets[url] = Target(id_, tenant_id, work.recipient.id, url)
        return addresses.link(root, secret, work.id, target.id)

    pixel = _pixel(addresses.pixel(root, secret, work.id)) if kind.tracking.opens else ""
    return html_links.replaced(html, through_us, pixel), tuple(targets.values())


def _pixel(address: str) -> str:
    return f'<img src="{escape(address)}" width="1" height="1" alt="" style="border:0">'


def _our_pages(settings: Settings) -> frozenset[str]:
    """What is never followed through us: it is signed for the reader alone, and a mail program may act on it."""
    pages = (settings.unsubscribe_page, *(settings.page(name) for name in OWN_PAGES))
    return frozenset(page for page in pages if page is not None)
