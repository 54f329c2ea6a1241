"""Finds whom kept octets tell of, however they were encoded on their way; the end of another address is no mention."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus
from uuid import UUID

import idna

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|[nrt/])")  # RFC 8259 §7; JSON in JSON has several backslashes
_QUOTED = re.compile(r"=(?:[0-9A-Fa-f]{2}|\r?\n)")  # RFC 2045 §6.7
_BASE64 = re.compile(r"[A-Za-z0-9+/]{20,}(?:\r?\n[A-Za-z0-9+/]+)*={0,2}")
_BEFORE, _AFTER = r"(?<![\w.+-])", r"(?![\w-]|\.\w)"


@dataclass(frozen=True, slots=True)
class Mentions:
    """What tells of somebody: their addresses, and the ids of their messages."""

    forms: tuple[str, ...]
    words: re.Pattern[str]
    ids: frozenset[str]

    @classmethod
    def of(cls, addresses: Collection[str], ids: Collection[UUID]) -> Mentions:
        """Of these folded addresses, one at least, and these messages."""
        forms = tuple(sorted({form for one in addresses for form in _forms(one)}))
        words = re.compile("|".join(f"{_BEFORE}{re.escape(one)}{_AFTER}" for one in forms))
        return cls(forms, words, frozenset(map(str, ids)))

    def within(self, octets: bytes) -> bool:
        """Whether these octets name one: as they are, or in JSON, a form's fields, quoted-printable or Base64."""
        return any(map(self.named, _views(octets)))

    def named(self, text: str) -> bool:
        """Whether this text names one."""
        folded = text.casefold()
        if any(one in folded for one in self.forms) and self.words.search(folded):  # the pattern alone is slow
            return True
        return bool(self.ids) and not self.ids.isdisjoint(_ID.findall(folded))


def _forms(folded: str) -> Iterator[str]:
    """The address, and as machines write it (RFC 5890 §2.3.2.1)."""
    yield folded
    local, at, domain = folded.rpartition("@")
    if at and not domain.isascii():
        try:
            yield f"{local}@{idna.encode(domain).decode()}"
        except idna.IDNAError:
            return


def _views(octets: bytes) -> Iterator[str]:
    """The octets as text, and as each encoding has it that may be one of theirs."""
    text = octets.decode("utf-8", "replace")
    yield text
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
        yield text
    if "%" in text:
        yield unquote_plus(text) if " " not in text else unquote_plus(text.replace("+", "%2B"))
    if _QUOTED.search(text):
        yield quopri.decodestring(octets).decode("utf-8", "replace")
    for found in _BASE64.findall(text):
        try:
            yield binascii.a2b_base64(found).decode("utf-8", "replace")
        except binascii.Error:
            continue
