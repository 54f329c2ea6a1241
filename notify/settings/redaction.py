"""URLs as they may be shown: only of a scheme that is known to have a harmless host is anything shown at all."""

from __future__ import annotations

import re

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s\"']*)")
_HARMLESS = re.compile(
    r"(?i)smtps?|imaps?|smtpd|lmtp|ses|mailgun|eml|mailto|rediss?|redis\+socket|unix|postgres(?:ql)?(?:\+\w+)?|sqlite(?:\+\w+)?"
    r"|amqps?|pyamqp|https?|slack|file|tcp"
)
"""Of any other, a misspelt one too, what follows may be a key."""

_HOOK = re.compile(r"(?i)(slack://[^\s/]+|https://hooks\.slack[\w.-]+)/[^\s\"',]+")
"""Where what follows the host is a key."""


def redact(url: str) -> str:
    """The URL, or a text with URLs, without passwords and whatever else is a credential; also among the options."""
    return _URL.sub(_shown, url)


def _shown(found: re.Match[str]) -> str:
    scheme, rest = found.groups()
    if not _HARMLESS.fullmatch(scheme):
        return f"{scheme}://***"
    shown = _HOOK.sub(r"\1/***", f"{scheme}://{rest}")
    shown = re.sub(r"(?<=://)([^:/@]*:)?.*@", lambda secret: f"{secret[1] or ''}***@", shown)
    return re.sub(r"(?i)([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]+", r"\1***", shown)
