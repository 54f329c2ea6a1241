"""A locale is written one way (`nl-BE`) and falls back by dropping its last part, then to the default."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from babel import Locale, UnknownLocaleError


@lru_cache(maxsize=1024)
def normal(tag: str | None) -> str | None:
    """`nl_BE`, `nl-be` and `nl-BE` are all `nl-BE` (RFC 5646 §2.1); None for what Babel does not know."""
    if not tag:
        return None
    try:
        return str(Locale.parse(tag.replace("-", "_"))).replace("_", "-")
    except (UnknownLocaleError, ValueError):
        return None


def chain(tag: str) -> Iterator[str]:
    """`nl-BE`, then `nl`: the locale and those it falls back to, nearest first."""
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


@lru_cache(maxsize=1024)
def parse(tag: str) -> Locale:
    """Babel's locale of a normal tag."""
    return Locale.parse(tag.replace("-", "_"))
