"""What `categories.toml` says of each category, to the last key: its words, whether it may be turned off, a bound.

Of several folders the earlier comes first, category by category. A category without an entry is one all the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from notify.errors import did_you_mean
from notify.kinds.declaration import Declaration
from notify.kinds.places import Fault, Place
from notify.kinds.toml import Toml
from notify.model import Channel
from notify.rates import Rate, rate

FILE = "categories.toml"
RESERVED = ("all",)
"""Names that no category may have: as the scope of a suppression they mean something else."""

_KEYS = ("title", "description", "required", "default", "throttle", "over")


class Over(StrEnum):
    """What becomes of a message over its category's throttle."""

    DELAY = "delay"  # it goes out when the recipient has room for it
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Category:
    """What recipients choose about. `title` and `description` are English, for the gettext catalogues to translate.

    `default` is for who chose nothing (nothing said: yes). `throttle` is the most to one recipient. `channels` are
    those of its kinds; `consent` says that one of them asks for consent.
    """

    name: str
    title: str
    description: str = ""
    required: bool = False
    default: Mapping[Channel, bool] = field(default_factory=dict)
    throttle: Rate | None = None
    over: Over = Over.DELAY
    channels: tuple[Channel, ...] = ()
    consent: bool = False
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The titles of its kinds, by name."""
    place: Place | None = None
    """Where its entry stands, if it has one."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of suppressions that are about it, or about one of its kinds alone."""
        return self.name, *(f"kind:{name}" for name in self.kinds)


def read(folders: Sequence[Path]) -> dict[str, Category]:
    """The categories that are described, by name. Raises InvalidKind naming file and line."""
    found: dict[str, Category] = {}
    for folder in reversed(folders):
        path = folder / FILE
        if path.is_file():
            toml = Toml(path)
            found.update({name: _category(toml, name, entry) for name, entry in toml.table.items()})
    return found


def in_use(described: Mapping[str, Category], kinds: Iterable[tuple[str, Declaration]]) -> dict[str, Category]:
    """All that are described, and all that these kinds belong to, with what follows from the kinds; by name, in order.

    Kinds come with their names. Where no kind of a category may be turned off, the category may not be either.
    """
    members: dict[str, dict[str, Declaration]] = {name: {} for name in described}
    for name, kind in kinds:
        members.setdefault(kind.category, {})[name] = kind
    return {name: _with_kinds(described.get(name) or Category(name, name), members[name]) for name in sorted(members)}


def babel_extract(
    file: BinaryIO, keywords: object, comment_tags: object, options: object
) -> Iterator[tuple[int, None, str, list[str]]]:
    """What pybabel asks for: line and text of every title and description of a categories.toml, to be translated."""
    text = file.read().decode("utf-8")
    for name, entry in tomllib.loads(text).items():
        for key in ("title", "description"):
            if isinstance(entry, dict) and key in entry:
                yield text.partition(f"[{name}]")[0].count("\n") + 1, None, entry[key], []


def _with_kinds(category: Category, named: Mapping[str, Declaration]) -> Category:
    kinds = named.values()
    channels = {channel for kind in kinds for channel in kind.channels}
    return replace(
        category,
        required=category.required or (bool(kinds) and all(kind.required for kind in kinds)),
        channels=tuple(channel for channel in Channel if channel in channels),
        consent=any(kind.consent for kind in kinds),
        kinds={name: kind.title for name, kind in named.items()},
    )


def _category(toml: Toml, name: str, entry: Any) -> Category:
    if not isinstance(entry, dict):
        raise toml.fault(name, "", f"{name} must be a table: write [{name}] and its keys below")
    place = toml.place(name, "")
    if name in RESERVED or name != name.strip() or not name:
        raise Fault(place, f"{name!r} is no name for a category")
    toml.refuse_unknown(entry, _KEYS, name)
    over = entry.get("over", Over.DELAY.value)
    if over in ("collect", "digest"):
        raise toml.fault("over", name, "over: this version has no digests to collect it in; use one of delay, skip")
    if over not in list(Over):
        near = did_you_mean(str(over), list(Over)) or f"; use one of {', '.join(Over)}"
        raise toml.fault("over", name, f"over cannot be {over!r}{near}")
    return Category(
        name=name,
        title=_text(toml, name, entry, "title", name),
        description=_text(toml, name, entry, "description", ""),
        required=_switch(toml, name, entry, "required"),
        default=_default(toml, name, entry.get("default", {})),
        throttle=_throttle(toml, name, entry),
        over=Over(over),
        place=place,
    )


def _text(toml: Toml, name: str, entry: Mapping[str, Any], key: str, default: str) -> str:
    given = entry.get(key, default)
    if not isinstance(given, str) or (key in entry and not given.strip()):
        raise toml.fault(key, name, f"{key} must be a line of text")
    return given


def _switch(toml: Toml, name: str, entry: Mapping[str, Any], key: str) -> bool:
    given = entry.get(key, False)
    if not isinstance(given, bool):
        raise toml.fault(key, name, f"{key} must be true or false, not {given!r:.40}")
    return given


def _default(toml: Toml, name: str, given: Any) -> Mapping[Channel, bool]:
    if not isinstance(given, dict):
        raise toml.fault("default", name, "default must be a table such as { email = true }")
    for word, chosen in given.items():
        if word not in list(Channel):
            raise toml.fault("default", name, f"default: {word!r} is not a channel{did_you_mean(word, list(Channel))}")
        if not isinstance(chosen, bool):
            raise toml.fault("default", name, f"default: {word} must be true or false, not {chosen!r:.40}")
    return {Channel(word): chosen for word, chosen in given.items()}


def _throttle(toml: Toml, name: str, entry: Mapping[str, Any]) -> Rate | None:
    if "throttle" not in entry:
        return None
    given = entry["throttle"]
    try:
        return rate(given if isinstance(given, str) else repr(given))
    except ValueError as error:
        raise toml.fault("throttle", name, f"throttle: {error}") from None
