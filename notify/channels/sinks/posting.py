"""One POST of JSON: taken, or `Unreachable`. The URL is a secret: neither it nor the answer is ever repeated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2

from notify.channels.url import ProviderUrl, is_loopback
from notify.errors import Unreachable

SECONDS = 10.0
REFUSED = frozenset({400, 401, 403, 404, 405, 410})


def encoded(value: Mapping[str, Any]) -> bytes:
    """As JSON (RFC 8259), in UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode()


def post(name: str, url: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
    """POST this JSON. Anything but a 2xx, a redirect too, raises `Unreachable`, with `name` for who it is."""
    try:
        answer = httpx2.post(
            url, content=content, headers={"Content-Type": "application/json", **(headers or {})}, timeout=SECONDS
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise Unreachable(f"{name} does not answer: {type(error).__name__}") from None
    if answer.is_success:
        return
    step = "\nNext: correct its URL in NOTIFY_ALERT_SINKS." if answer.status_code in REFUSED else ""
    raise Unreachable(f"{name} answered {answer.status_code}{step}")


def address(url: ProviderUrl, rest: str, *, plain: bool = False) -> str:
    """The URL to post to: https, or http to this machine itself, which has no certificate; `rest` follows the `://`.

    `plain` says that http was asked for. Raises `InvalidProvider` for http to elsewhere, and for what is no URL.
    """
    if not url.host:
        raise url.wrong("host", "is missing")
    own = is_loopback(url.host)
    if plain and not own:
        raise url.wrong("scheme", "http is for this machine alone; write https://")
    made = f"{'http' if own and (plain or url.scheme != 'https') else 'https'}://{rest}"
    try:
        httpx2.URL(made)
    except httpx2.InvalidURL:
        raise url.wrong("host or path", "cannot stand in a URL") from None
    return made
