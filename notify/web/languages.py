"""The language of a page: the person's own where it is known, else what the browser asks for, else the default."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from notify.kinds import locales

SOURCE = "en"  # the language that our pages are written in
_LONGEST = 256  # characters of a header that are looked at
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")


def choose(own: str | None, accept: str, default: str, known: Collection[str]) -> str:
    """The best of `known`, which are normal tags such as `nl`, or English.

    `accept` is an Accept-Language header (RFC 9110 §12.5.4); what cannot be read in it is passed over.
    """
    for wanted in (own, *_ranges(accept[:_LONGEST]), default):
        tag = locales.normal(wanted)
        for near in locales.chain(tag) if tag else ():
            if near in known or near == SOURCE:
                return near
    return SOURCE


@lru_cache(maxsize=256)
def _ranges(accept: str) -> tuple[str, ...]:
    """The languages of the header that are wanted at all, best first."""
    return tuple(tag for _, tag in sorted(_weighed(accept), key=lambda pair: -pair[0]))


def _weighed(accept: str) -> Iterator[tuple[float, str]]:
    for part in accept.split(","):
        if (found := _RANGE.fullmatch(part)) and (weight := float(found[2] or 1)) > 0:
            yield weight, found[1]
