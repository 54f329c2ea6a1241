"""A roster file as text: in which encoding it is written and what parts its cells, both found by looking.

The encoding is a rule, not a likelihood: a byte order mark decides; without one, a file that is UTF-8 from its first to
its last octet is UTF-8; a file that is not, and holds no UTF-8 beyond ASCII either, is Windows-1252, which is what
spreadsheets of Western Europe write, and is called a guess. What is neither is refused.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from notify.errors import OperatorError

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_LINE = 4_000_000  # characters
LONGEST_CELL = 1_000_000
BLOCK = 1 << 20
SAMPLE = 1 << 16
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WORD = re.compile(r"[^\W\d_]*[^\x00-\x7f]+[^\W\d_]*")

csv.field_size_limit(LONGEST_CELL)


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written. `word` is one from it that shows whether a guessed encoding is right; else empty."""

    encoding: str
    delimiter: str
    word: str = ""


def examine(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    fits: Callable[[Sequence[str]], bool] = lambda header: True,
) -> Form:
    """How the file at `path` is written; what is given is not looked for. `fits` says which header makes sense.

    Raises `OperatorError` for a file that cannot be read, and an encoding or a delimiter that is none.
    """
    if delimiter is not None and delimiter not in DELIMITERS:
        raise OperatorError(f"cells are parted by one of {' '.join(map(repr, DELIMITERS))}, not by {delimiter!r}")
    word = ""
    try:
        if encoding is None:
            encoding, word = _encoding(path)
        elif codecs.lookup(encoding).name == "utf-8":
            encoding = "utf-8-sig"
        if delimiter is None:
            with path.open(encoding=encoding, newline="") as file:
                delimiter = _delimiter(file.read(SAMPLE), fits)
    except LookupError:
        raise OperatorError(
            f"there is no encoding {encoding!r} of text\nNext: name one like utf-8, windows-1252 or utf-16."
        ) from None
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}\nNext: check the path.") from None
    except UnicodeError as error:
        raise unreadable(path, 1, f"not written in {encoding}: {error}") from None
    return Form(encoding, delimiter, word)


def opened(path: Path, form: Form) -> TextIO:
    """The file, to be read as its form says."""
    return path.open(encoding=form.encoding, newline="")


def lines(file: TextIO) -> Iterator[str]:
    """Line by line, none of which fills the memory; `csv.Error` when one is too long."""
    for line in iter(partial(file.readline, LONGEST_LINE), ""):
        if len(line) == LONGEST_LINE:
            raise csv.Error(f"a line of more than {LONGEST_LINE:,} characters")
        yield line


def unreadable(path: Path, line: int, why: str) -> OperatorError:
    """The error for a file that is no CSV as a whole."""
    return OperatorError(
        f"{path}, near line {line}: not readable as CSV: {why}\n"
        "Next: save it as UTF-8 with straight quotes, or name its encoding (--encoding). Nothing was imported."
    )


def _encoding(path: Path) -> tuple[str, str]:
    """The encoding's name, and a word where it is a guess."""
    with path.open("rb") as file:
        first = file.read(4)
        marked = next((name for mark, name in _MARKS if first.startswith(mark)), None)
        if marked is not None:
            return marked, ""
        file.seek(0)
        decoder, line, proper = codecs.getincrementaldecoder("utf-8")(), 1, False
        while block := file.read(BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                head, at = error.object[: error.start], error.start
                proper = proper or not head.isascii()
                if proper or b"\0" in head:
                    line += head.count(b"\n")
                    raise unreadable(
                        path, line, f"octet 0x{error.object[at]:02x} is no UTF-8, and what stands before it is"
                    ) from None
                return "windows-1252", _guessed(path)
            proper = proper or not block.isascii()
            line += block.count(b"\n")
        if decoder.getstate()[0]:
            if proper:
                raise unreadable(path, line, "it ends within a character of UTF-8")
            return "windows-1252", _guessed(path)
    return "utf-8", ""


def _guessed(path: Path) -> str:
    """The first word beyond ASCII, read as Windows-1252. Raises `OperatorError` when the file cannot be that either."""
    word, line = "", 1
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            try:
                text = block.decode("windows-1252")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise unreadable(path, line, "neither UTF-8 nor Windows-1252, and no byte order mark") from None
            found = None if word else _WORD.search(text)
            word = word or (found[0][:40] if found else "")
            line += block.count(b"\n")
    return word


def _delimiter(sample: str, fits: Callable[[Sequence[str]], bool]) -> str:
    """What parts the header into the most columns; of two, what gives a header that fits."""

    def worth(delimiter: str) -> tuple[bool, int]:
        try:
            header = next(csv.reader(sample.splitlines(keepends=True), delimiter=delimiter), [])
        except csv.Error:
            return False, 0
        return fits(header), len(header)

    return max(DELIMITERS, key=worth)
