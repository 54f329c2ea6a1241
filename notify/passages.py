"""A template's words as a mail's body: what never changes is quoted once, and the octets are those of the whole text.

A `Passage` is what a template printed, in pieces. Its constants are `Fixed`, a type that no value ever has: what a
recipient is called cannot pass for a part of the template. On the wire every line end is CRLF, the last line has one,
no line has more than 76 columns or begins with a dot (RFC 2045 §6.7, RFC 5321 §4.5.2), and NUL and lone surrogates,
which mail cannot carry, are U+FFFD.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

COLUMNS = 76

_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n")
_MANY_BREAKS = 3
_LITERAL = frozenset(map(chr, (9, *range(32, 127)))) - {"="}  # RFC 2045 §6.7 (2) and (3)


class Fixed(str):
    """A constant of a template.

    It is its `head`, which ends a line that may have begun before it, its whole `lines`, quoted, and its `tail`, the
    start of a line. `lines` is empty where a constant is too short to have any. A long line is broken softly before
    and within it, so that its head is empty. `parts` are leading blanks, the tidy core, and trailing blanks.
    """

    __slots__ = ("head", "lines", "parts", "tail")
    head: str
    lines: bytes
    tail: str
    parts: tuple[str, str, str]

    def __new__(cls, text: str) -> Fixed:
        """Quote `text` once and for all."""
        made = super().__new__(cls, text)
        first, last = text.find("\n") + 1, text.rfind("\n") + 1
        near = 0 < first <= COLUMNS
        made.head, start = (text[:first], first) if near else ("", 0)
        broken, made.tail = _softly(text[last:])
        made.lines = b"".join((_quoted(text[start:last]) if start < last else b"", broken))
        lead, core, trail = _parted(text)
        made.parts = (lead, made if core == text else cls(core) if core else "", trail)
        return made


class Passage(NamedTuple):
    """The pieces of a text in their order, `Fixed` or values; when `tidy`, its blank lines are put in order.

    Tidy means: at most one blank line in a row, none at either end, and a line end after the last line.
    """

    pieces: Sequence[str]
    tidy: bool = False

    def __str__(self) -> str:
        return tidy("".join(self.pieces)) + "\n" if self.tidy else "".join(self.pieces)

    def octets(self) -> bytes:
        """The body, quoted-printable."""
        return _filled(_tidied(self.pieces) if self.tidy else self.pieces)


def tidy(text: str) -> str:
    """At most one blank line in a row, none at either end."""
    return _BLANK_LINES.sub("\n\n", text).strip()


def _filled(pieces: Iterable[str]) -> bytes:
    """Only the lines that hold more than one piece are quoted now."""
    out: list[bytes] = []
    begun: list[str] = []
    for piece in pieces:
        if type(piece) is Fixed and piece.lines:
            begun.append(piece.head)
            if line := "".join(begun):
                out.append(_quoted(line) if line.endswith("\n") else _quoted_open(line))
            out.append(piece.lines)
            begun = [piece.tail]
        else:
            begun.append(piece)
    last = "".join(begun)
    if last or not out:
        out.append(_quoted(last if last.endswith("\n") else last + "\n"))
    return b"".join(out)


def _tidied(pieces: Iterable[str]) -> Iterator[str]:
    """`tidy` piece by piece: blanks wait until it is known what follows them."""
    gap, begun = "", False
    for piece in pieces:
        lead, core, trail = piece.parts if type(piece) is Fixed else _parted(piece)
        if core:
            if begun and (gap or lead):
                yield _narrow(gap + lead)
            yield core
            gap, begun = trail, True
        else:
            gap += lead


def _parted(text: str) -> tuple[str, str, str]:
    """Leading blanks, what is between, made tidy, and trailing blanks; a blank text is all leading."""
    core = text.strip()
    inner = _BLANK_LINES.sub("\n\n", core) if "\n" in core else core
    if len(core) == len(text):
        return "", inner, ""
    start = len(text) - len(text.lstrip())
    return text[:start], inner, text[start + len(core) :]


def _narrow(gap: str) -> str:
    """The blanks between two words, with at most one blank line."""
    return _BLANK_LINES.sub("\n\n", gap) if gap.count("\n") >= _MANY_BREAKS else gap


def _quoted(text: str) -> bytes:
    """Whole lines of text, the last one ended, as octets."""
    line = text[:-1]
    plain = len(line) <= COLUMNS and line.isascii() and line.isprintable() and "=" not in line
    if plain and not line.startswith(".") and not line.endswith(" "):
        return line.encode("ascii") + b"\r\n"
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\n", "\r\n")
    return quoted_printable((text if text.isascii() else _SURROGATE.sub("\ufffd", text)).encode())


def _quoted_open(text: str) -> bytes:
    """Text whose last line goes on: with a soft line break behind it."""
    quoted = _quoted(f"{text}x\n").removesuffix(b"x\r\n")  # or a blank before the break would count as trailing
    return quoted if quoted.endswith(b"\r\n") else quoted + b"=\r\n"


def _softly(line: str) -> tuple[bytes, str]:
    """The start of a line: what fills columns, quoted and softly broken, and the rest."""
    if "\r" in line:
        return b"", line  # it may be half a line end
    full, begun, start = [], "", 0
    for at, char in enumerate(line):
        octets = char if char in _LITERAL and (begun or char != ".") else _escaped(char)
        if len(begun) + len(octets) >= COLUMNS:
            full.append(f"{begun}=\r\n")
            start, begun, octets = at, "", _escaped(char) if char == "." else octets
        begun += octets
    return "".join(full).encode("ascii"), line[start:]


def _escaped(char: str) -> str:
    sendable = _SURROGATE.sub("\ufffd", char.replace("\0", "\ufffd"))
    return "".join(f"={octet:02X}" for octet in sendable.encode())


def quoted_printable(data: bytes) -> bytes:
    """`data`, whose line ends are CRLF and whose last line has one, in lines of at most 76 columns (RFC 2045 §6.7).

    No line begins with a dot, which SMTP would have to double.
    """
    if b" \r\n" in data or b"\t\r\n" in data:  # binascii quotes a blank before a line end in columns it does not have
        quoted = b"\r\n".join([b2a_qp(line).replace(b"=\n", b"=\r\n") for line in data.split(b"\r\n")])
    else:
        quoted = b2a_qp(data)
    if b"\n." in quoted or quoted.startswith(b"."):
        quoted = b"\r\n".join([part for line in quoted.split(b"\r\n") for part in _without_dot(line)])
    return quoted


def _without_dot(line: bytes) -> Iterator[bytes]:
    """One quoted line as one or more that begin with no dot; no escape is cut in two."""
    while line.startswith(b"."):
        line = b"=2E" + line[1:]
        if len(line) > COLUMNS:
            cut = line.find(b"=", COLUMNS - 3, COLUMNS - 1)
            cut = COLUMNS - 1 if cut < 0 else cut
            yield line[:cut] + b"="
            line = line[cut:]
    yield line
