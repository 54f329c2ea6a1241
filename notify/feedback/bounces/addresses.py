"""Finds mail addresses in fields and in prose, in time linear in the text."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"(?<![\w.!#$%&*+/=?^{|}~-])"
    r"(\"[^\"\n@]{1,64}\"|[\w.!#$%&'*+/=?^{|}~-]{1,64})@((?:[\w-]{1,63}\.)+[\w-]{2,63}|\[[\d.:a-fA-F]{3,45}\]|localhost\b)"
)
_TYPED = re.compile(r"^\s*[\w-]{2,20}\s*;\s*")
_COMMENT = re.compile(r"\([^()]{0,200}\)")
_BARE = re.compile(r"^[^\s<>@]{1,64}@[^\s<>@]{1,255}$")


def find(text: str) -> list[tuple[int, str]]:
    """Every address of a text and where it begins."""
    if "@" not in text:
        return []
    return [(match.start(), clean(match[0])) for match in _ADDRESS.finditer(text)]


def first(text: str) -> str | None:
    """The first address of a field's value: `rfc822; <a@b>`, `"A" <a@b> (Ann)`, `a@b`; None without one."""
    text = _COMMENT.sub("", _TYPED.sub("", text[:1000]))
    found = find(text.partition("<")[2] or text) or find(text)
    if found:
        return found[0][1]
    bare = text.strip(" \t<>\"'")
    return bare if _BARE.match(bare) else None


def clean(address: str) -> str:
    """Without the marks that prose puts round an address."""
    address = address.strip().rstrip(".,;:").lstrip("'")
    return address[5:] if address[:5].lower() == "smtp=" else address  # in an address in X.400


def same(one: str, other: str) -> bool:
    """Whether two addresses are one; nobody tells upper from lower case in practice."""
    return one.lower() == other.lower()
