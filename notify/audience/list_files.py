"""Rows of a CSV or JSON file, each with the line where it begins: read as a stream, whatever the file's size.

CSV may be separated by commas, semicolons or tabs. JSON is an array of objects, an object that holds one (as the
answers of providers' APIs do), or an object on each line.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from notify.errors import OperatorError

CHUNK = 1 << 16
LONGEST_ROW = 1 << 20  # characters: an object that does not end by then is none
_LISTED = re.compile(r'\s*(?:\[|\{\s*"(?P<name>\w+)"\s*:\s*\[)')
_BETWEEN = re.compile(r"[\s,]*")

csv.field_size_limit(1_000_000)

Row = tuple[int, Mapping[str, Any]]


def rows(path: Path) -> Iterator[Row]:
    """Every row, its values by name; JSON where the file begins with a brace or bracket.

    A row of CSV that has too few or too many cells has None among its names or values. Raises `OperatorError` when the
    file cannot be read, at the line that cannot.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            begins = file.read(CHUNK).lstrip()[:1]
            file.seek(0)
            yield from _json(file, path) if begins in ("{", "[") else _csv(file, path)
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}\nNext: check the path.") from None
    except UnicodeDecodeError as error:
        raise OperatorError(f"{path} is not UTF-8: {error}\nNext: save it as UTF-8.") from None


def _csv(file: TextIO, path: Path) -> Iterator[Row]:
    first = file.readline()
    file.seek(0)
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(file, delimiter=delimiter, strict=True)
    begins = 2
    try:
        for row in reader:
            yield begins, {name: value.strip() if isinstance(value, str) else value for name, value in row.items()}
            begins = reader.line_num + 1
    except csv.Error as error:
        raise OperatorError(
            f"{path}, line {begins}: not readable as CSV: {error}\n"
            "Next: mend or remove that line; what was imported before it stays, and importing again changes nothing."
        ) from None


def _json(file: TextIO, path: Path) -> Iterator[Row]:
    """Objects one after the other, at most one of them in memory."""
    decoder, text, line = json.JSONDecoder(), file.read(CHUNK), 1
    opened = _LISTED.match(text)
    at = opened.end() if opened else 0
    while True:
        while True:
            skipped = _BETWEEN.match(text, at)
            assert skipped is not None, "it matches nothing, too"
            line += text.count("\n", 0, skipped.end())
            text, at = text[skipped.end() :], 0
            if text or not (text := file.read(CHUNK)):
                break
        if not text or text[0] in "]}":
            return
        try:
            value, at = decoder.raw_decode(text)
        except json.JSONDecodeError as error:
            more = file.read(CHUNK) if len(text) < LONGEST_ROW else ""
            if not more:
                raise OperatorError(
                    f"{path}, line {line + error.lineno - 1}, column {error.colno}: not readable as JSON: {error.msg}\n"
                    "Next: export it again; what was imported before it stays, and importing again changes nothing."
                ) from None
            text += more
            continue
        if not isinstance(value, dict):
            raise OperatorError(f"{path}, line {line}: expected an object with an address, not {str(value)[:40]}")
        yield line, value
