"""A kind.toml as it was read: whoever complains about a key of it names the line on which it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from notify.errors import did_you_mean
from notify.kinds.places import Fault, Place

FILE = "kind.toml"

_NAMES: Mapping[type, str] = {str: "string", list: "list", bool: "boolean", dict: "table"}


class Toml:
    """`table` is what the file says, parsed. Raises InvalidKind naming file and line when it is no TOML."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
            self.table: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            raise Fault(Place(path, int(line[1]) if line else None), str(error)) from None
        except UnicodeDecodeError as error:
            raise Fault(Place(path), f"is not UTF-8: {error}") from None
        self._lines = text.splitlines()

    def required(self, key: str, kind: type) -> Any:
        """The value of a key at the top, of this type."""
        if key not in self.table:
            raise Fault(Place(self.path), f"{f'[{key}]' if kind is dict else key} is missing")
        return self.optional(key, kind, None)

    def optional(self, key: str, kind: type, default: Any) -> Any:
        """The value of a key at the top, of this type, or the default."""
        value = self.table.get(key, default)
        if not isinstance(value, kind):
            raise self.fault(key, "", f"{key} must be a {_NAMES[kind]}, not {type(value).__name__}")
        return value

    def refuse_unknown(self, table: Mapping[str, Any], known: Iterable[str], section: str, within: str = "") -> None:
        """Complain about the first key of `table` that is not known, with the nearest one that is."""
        for key in table:
            if key not in known:
                owner = within or (f"[{section}]" if section else FILE)
                spot = key if self._line(key, section) else within
                raise self.fault(spot, section, f"{key} is not a key of {owner}{did_you_mean(key, known)}")

    def fault(self, key: str, section: str, text: str) -> Fault:
        """A complaint about this key of this section."""
        return Fault(self.place(key, section), text)

    def place(self, key: str, section: str) -> Place:
        """Where the key stands; a section that is written on one line is found by its name."""
        line = self._line(key, section)
        return Place(self.path, line or self._line(section.partition(".")[0], "") if section else line)

    def _line(self, key: str, section: str) -> int | None:
        """Where `key` is set inside [section] or one of its sub-tables, or opened as a table itself."""
        if not key:
            return None
        current = ""
        sets = re.compile(rf"""(?:^|[{{,.])\s*["']?{re.escape(key)}["']?\s*[=.]""")
        opens = re.compile(rf"""(?:^|\.)["']?{re.escape(key)}["']?$""")
        for number, line in enumerate(self._lines, start=1):
            if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
                current = header[1]
                if opens.search(current):
                    return number
            elif (current == section or current.startswith(f"{section}.")) and sets.search(line):
                return number
        return None
