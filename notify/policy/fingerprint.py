"""Deaths of one cause have one fingerprint, whatever numbers, ids, addresses and quoted words their texts hold."""

from __future__ import annotations

import hashlib
import re

LENGTH = 16  # hexadecimal digits: 64 bits tell millions of causes apart
LONGEST = 1000  # characters of a detail that count

_VARYING = (
    (re.compile(r"[^\s<>\"'=:;,()\[\]]+@[^\s<>\"';,()\[\]]+"), "<address>"),
    (re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”"), "<quoted>"),
    (re.compile(r"[\w.+/=-]*\d[\w.+/=-]*"), "<n>"),  # numbers, codes, queue ids, times, whatever has a digit in it
)
_BLANK = re.compile(r"\s+")


def fingerprint(kind: str | None, error: str, reason: str, detail: str | None) -> str:
    """A digest of what is the same in deaths of one cause."""
    text = (detail or "")[:LONGEST]
    for varying, stand_in in _VARYING:
        text = varying.sub(stand_in, text)
    parts = (kind or "", error, reason, _BLANK.sub(" ", text).strip())
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:LENGTH]
