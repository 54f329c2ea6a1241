"""Takes a mail apart in bounded time and memory, whatever its bytes: no error is raised, and nothing is unpacked.

The standard library's parser keeps every part of a mail and follows any nesting. This one looks at the first
megabyte, follows eight levels, keeps a hundred parts, and decodes a text only when it is asked for.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from functools import lru_cache
from html import unescape

MAIL_LIMIT = 1024 * 1024  # octets that are looked at
HEAD_LIMIT = 128 * 1024
TEXT_LIMIT = 64 * 1024  # octets of one text that are decoded
DEPTH_LIMIT = 8
PARTS_LIMIT = 100
FIELDS_LIMIT = 1000
VALUE_LIMIT = 8192

_FIELD = re.compile(r"^([!-9;-~]{1,80})[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)", re.M)
_PARAMETER = re.compile(r";\s*([\w-]{1,60})(?:\*\d{0,4}\*?)?\s{0,9}=\s*(?:\"([^\"]*)\"|([^;\s]*))")
_GUESSED_BOUNDARY = re.compile(r"^--(\S{5,200})\n(?=content-)", re.M | re.I)
_ENCODED_WORD = re.compile(r"\?=\s+=\?")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_DROPPED = re.compile(r"<(style|script|head)\b.*?(?:</\1\s*>|\Z)", re.S | re.I)
_BREAK = re.compile(r"<(?:br|/p|/div|/tr|/h\d|/li|/td|hr|p)\b[^<>]*>", re.I)
_TAG = re.compile(r"<(?!mailto:)[!/a-zA-Z][^<>@]{0,2000}>")


@dataclass(slots=True)
class Part:
    """One part: `fields` in lower case, `raw` as Latin-1 so that each character is an octet."""

    fields: dict[str, list[str]]
    raw: str
    type: str = "text/plain"
    parameters: dict[str, str] = field(default_factory=dict)
    children: list[Part] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The first field of this name with its encoded words decoded, or an empty text."""
        values = self.fields.get(name)
        return header_text(values[0]) if values else ""

    def walk(self, *, into_mails: bool = True) -> Iterator[Part]:
        """This part and all below it, in their order; those of an attached mail only when wanted."""
        yield self
        if self.type.startswith("message/") and not into_mails:
            return
        for child in self.children:
            yield from child.walk(into_mails=into_mails)

    def text(self) -> str:
        """The text of this part, decoded; HTML without its tags."""
        text = _decoded(self)
        return plain(text) if self.type == "text/html" else text


def parse(raw: bytes) -> Part:
    """The mail as a tree of parts."""
    text = raw[:MAIL_LIMIT].decode("latin-1")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    budget = [PARTS_LIMIT]
    return _mail(text.lstrip("\n \t\ufeff"), 0, budget)


def read_fields(head: str) -> dict[str, list[str]]:
    """Header fields by their names in lower case; lines that are none are passed over."""
    found: dict[str, list[str]] = {}
    for number, match in enumerate(_FIELD.finditer(head)):
        if number >= FIELDS_LIMIT:
            break
        value = match[2][:VALUE_LIMIT]
        if "\n" in value:
            value = " ".join(line.strip() for line in value.split("\n"))
        found.setdefault(match[1].lower(), []).append(value.strip())
    return found


def plain(html: str) -> str:
    """HTML as text: good enough for finding sentences and addresses."""
    return unescape(_TAG.sub("", _BREAK.sub("\n", _DROPPED.sub("", html))))


@lru_cache(maxsize=512)
def header_text(value: str) -> str:
    """A field's value with encoded words (RFC 2047) and raw octets decoded."""
    if "=?" in value:
        try:
            pieces = decode_header(_ENCODED_WORD.sub("?==?", value))
            return "".join(one if isinstance(one, str) else _in_charset(one, name) for one, name in pieces)
        except (HeaderParseError, ValueError, binascii.Error):
            return value
    if value.isascii() and "\x1b" not in value:
        return value
    return _in_charset(value.encode("latin-1", "replace"), None)


def _mail(text: str, depth: int, budget: list[int]) -> Part:
    budget[0] -= 1
    head, body = _split(text)
    part = Part(read_fields(head), body)
    _set_type(part)
    _open(part, depth, budget)
    return part


def _split(text: str) -> tuple[str, str]:
    if text.startswith("\n"):
        return "", text[1:]
    end = text.find("\n\n", 0, HEAD_LIMIT)
    if end < 0:
        return text[:HEAD_LIMIT], text[HEAD_LIMIT:]
    return text[:end], text[end + 2 :]


def _set_type(part: Part) -> None:
    values = part.fields.get("content-type")
    if not values:
        return
    value = values[0]
    kind = value.partition(";")[0].strip().lower()
    if kind:
        part.type = kind.replace(" ", "")
    for match in _PARAMETER.finditer(value):
        part.parameters.setdefault(match[1].lower(), match[2] if match[2] is not None else match[3])


def _open(part: Part, depth: int, budget: list[int]) -> None:
    if depth >= DEPTH_LIMIT:
        return
    if part.type.startswith("multipart/"):
        for chunk in _chunks(part):
            if budget[0] <= 0:
                return
            part.children.append(_mail(chunk, depth + 1, budget))
    elif part.type in ("message/rfc822", "message/global") and budget[0] > 0:
        part.children.append(_mail(_unpacked(part).lstrip("\n"), depth + 1, budget))
    elif part.type in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
        part.children.append(Part(read_fields(_unpacked(part)[:HEAD_LIMIT]), ""))


def _chunks(part: Part) -> list[str]:
    boundary = part.parameters.get("boundary", "").strip()
    body = "\n" + part.raw
    if not boundary or "\n--" + boundary not in body:
        guessed = _GUESSED_BOUNDARY.search(part.raw)
        if guessed is None:
            return ["\n" + part.raw]
        boundary = guessed[1]
    found: list[str] = []
    for chunk in body.split("\n--" + boundary, PARTS_LIMIT)[1:]:
        line, _, rest = chunk.partition("\n")
        if line.startswith("--"):
            break
        if line.strip() and found:
            found[-1] += "\n--" + boundary + chunk  # the boundary of something inside that begins in the same way
        else:
            found.append(rest)
    return found


def _encoding(part: Part) -> str:
    return (part.fields.get("content-transfer-encoding") or [""])[0].lower()


def _unpacked(part: Part) -> str:
    """The octets of an attached mail, some of which come in base64 (RFC 6532 §3.5 allows it, others just do it)."""
    encoding = _encoding(part)
    if "base64" in encoding or "quoted-printable" in encoding:
        text = _octets(part).decode("latin-1")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return part.raw


def _octets(part: Part) -> bytes:
    encoding = _encoding(part)
    octets = part.raw[: 2 * TEXT_LIMIT].encode("latin-1", "replace")
    if "base64" in encoding:
        letters = _NOT_BASE64.sub(b"", octets)
        letters = letters[: len(letters) - (len(letters) % 4 == 1)]
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    if "quoted-printable" in encoding:
        return binascii.a2b_qp(octets)
    return octets


def _decoded(part: Part) -> str:
    octets = _octets(part)[:TEXT_LIMIT]
    return _in_charset(octets, part.parameters.get("charset")).replace("\r\n", "\n").replace("\r", "\n")


def _in_charset(octets: bytes, charset: str | None) -> str:
    if b"\x1b$" in octets or b"\x1b(" in octets:
        return octets.decode("iso-2022-jp-ext", "replace")
    if octets.isascii() and not (charset and charset.lower().startswith("utf-")):
        return octets.decode("ascii") if not charset or _is_ascii_based(charset) else _try(octets, charset)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return _try(octets, charset)


@lru_cache(maxsize=64)
def _is_ascii_based(charset: str) -> bool:
    try:
        return b"az<@>".decode(charset) == "az<@>"
    except (LookupError, UnicodeError, ValueError):
        return True


def _try(octets: bytes, charset: str | None) -> str:
    try:
        if charset and charset.lower().startswith("iso-2022-jp"):
            return _japanese(octets)
        if charset and codecs.lookup(charset).name not in ("ascii", "utf-8"):
            text = octets.decode(charset, "replace")
            return text.encode("utf-8", "replace").decode()  # UTF-7 can spell half of a character
    except (LookupError, UnicodeError, ValueError):
        pass
    return octets.decode("latin-1")


def _japanese(octets: bytes) -> str:
    """Text that is said to be iso-2022-jp and has no escape sequence: relays turn it into one of these."""
    for charset in ("euc_jp", "cp932"):
        try:
            return octets.decode(charset)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")
