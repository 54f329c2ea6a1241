"""A small file from a web server: bounded in octets and in time, and from nowhere else than asked."""

from __future__ import annotations

import time

import httpx2

from notify.errors import NotThere, Unreachable

LARGEST = 64 * 1024  # octets
LONGEST = 10.0  # seconds, from the first octet asked to the last one read
_STEP = 5.0  # seconds that a single octet may take
_OK = 200
_NOT_THERE = frozenset({403, 404, 410})  # S3 says 403 of what it does not have


def download(url: str) -> bytes:
    """The file. Follows no redirect. Raises `NotThere` or another `Unreachable`."""
    until = time.monotonic() + LONGEST
    shown = url.partition("?")[0]  # what follows may be a token
    found = bytearray()
    try:
        with httpx2.stream("GET", url, timeout=_STEP, follow_redirects=False) as answer:
            if answer.status_code in _NOT_THERE:
                raise NotThere(f"{shown} is not there: status {answer.status_code}")
            if answer.status_code != _OK:
                raise Unreachable(f"{shown} answers with status {answer.status_code}")
            for chunk in answer.iter_bytes():
                found += chunk
                if len(found) > LARGEST or time.monotonic() > until:
                    raise Unreachable(f"{shown} answers with too much, or too slowly")
    except httpx2.HTTPError as error:
        raise Unreachable(f"{shown} does not answer: {type(error).__name__}") from None
    return bytes(found)
