"""What each column of a roster means: a field, an attribute, or nothing; a header that says nothing sure is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from notify.audience.description import RESERVED
from notify.audience.roster.cells import plain
from notify.errors import InvalidRecipient, OperatorError, did_you_mean
from notify.store.text import line

FIELDS = ("key", "email", "phone", "name", "locale", "timezone", "tags", "status")
ATTRIBUTE = "attr."
"""Before a column's name: an attribute, whatever it is called."""
REJECTS = ("line", "reason")
"""The first two columns of a file of rejected rows. It can be imported once it is mended; they are passed over."""
_FORBIDDEN = {"address", "attributes", "data"}
_ALIASES = {
    "key": ("userdid", "did", "userid", "externalid", "externalreference", "externaldatareference"),
    "email": ("emailaddress", "mail", "recipientemail", "primaryemail"),
    "phone": ("phonenumber", "mobile", "mobilephone"),
    "name": ("fullname", "displayname", "recipientname"),
    "locale": ("language", "lang", "userlanguage"),
    "timezone": ("tz",),
}
_FIELD_OF = {alias: field for field, aliases in _ALIASES.items() for alias in (field, *aliases)} | {
    field: field for field in FIELDS
}

Meanings = tuple[str, ...]
"""What one column means: the names of fields, or `attr.` and the name of an attribute; nothing when it is left out."""


def known_as(name: str) -> str | None:
    """The field that a column of this name is taken for, whatever its case, blanks, dashes and underscores."""
    return _FIELD_OF.get(re.sub(r"[\s_\-]+", "", name).casefold())


def column_of(attribute: str) -> str:
    """What the column of an attribute is called, so that it is read as nothing else."""
    sure = attribute.startswith(ATTRIBUTE) or known_as(attribute) is not None or attribute in _FORBIDDEN
    return f"{ATTRIBUTE}{attribute}" if sure or attribute in REJECTS else attribute


def has_key(header: Sequence[str], mapping: Mapping[str, Sequence[str]]) -> bool:
    """Whether some column of this header is the key."""
    names = [plain(cell) for cell in header]
    return any("key" in mapping.get(name, [known_as(name) or ""]) for name in names)


def read(header: Sequence[str], mapping: Mapping[str, Sequence[str]], path: Path) -> list[Meanings]:
    """What each column means. `mapping` is what the operator says: fields by the name of a column.

    A name that stands for a field itself goes before one that is only known to mean it; the latter is an attribute
    then. Raises `OperatorError`, which names the column.
    """
    names = [plain(cell) for cell in header]
    unknown = [name for name in mapping if name not in names]
    if unknown:
        raise _refused(path, f"no column {unknown[0]!r}{did_you_mean(unknown[0], names)}", "map one of its columns")
    doubled = next((name for name in names if not name or names.count(name) > 1), None)
    if doubled is not None:
        raise _refused(path, f"column {doubled!r} is empty or stands twice", "name each column once")
    meanings = [_meaning(name, names, mapping) for name in names]
    if tuple(names[:2]) == REJECTS:
        meanings[:2] = (), ()
    for name, fields in zip(names, meanings, strict=True):
        for field in fields:
            _check(name, field, path)
    flat = [field for fields in meanings for field in fields]
    twice = next((field for field in flat if flat.count(field) > 1), None)
    if twice is not None:
        raise _refused(path, f"two columns mean {twice.removeprefix(ATTRIBUTE)!r}", "leave one out: --map COLUMN=")
    if "key" not in flat:
        raise _refused(
            path,
            f"no column 'key'{did_you_mean('key', names)}; found: {', '.join(names)}",
            "name the column that holds your application's id of the person 'key', or say which it is: "
            "--map COLUMN=key. One column may be two things: --map Mail=key --map Mail=email",
        )
    return meanings


def _meaning(name: str, names: Sequence[str], mapping: Mapping[str, Sequence[str]]) -> Meanings:
    if name in mapping:
        return tuple(
            field if field in FIELDS or field.startswith(ATTRIBUTE) else f"{ATTRIBUTE}{field}"
            for field in mapping[name]
            if field
        )
    if name.startswith(ATTRIBUTE):
        return (name,)
    field = known_as(name)
    taken = {one for fields in mapping.values() for one in fields}
    if field is None or field in taken or _nearer(name, field, names):
        return (f"{ATTRIBUTE}{name}",)
    return (field,)


def _nearer(name: str, field: str, names: Sequence[str]) -> bool:
    """Whether another column is the field more surely than this one: by its very name, or by standing before it."""
    others = [other for other in names if known_as(other) == field]
    return name != (field if field in others else others[0])


def _check(name: str, meaning: str, path: Path) -> None:
    attribute = meaning.removeprefix(ATTRIBUTE)
    if attribute == meaning:
        return
    if attribute in RESERVED or (attribute in _FORBIDDEN and not name.startswith(ATTRIBUTE)):
        raise _refused(
            path,
            f"a column cannot be called {attribute!r}: templates know something else by that name",
            f"rename it, or leave it out: --map {name}= ; e-mail addresses stand in the column 'email'",
        )
    try:
        line("an attribute's name", attribute, InvalidRecipient)
    except InvalidRecipient as error:
        raise _refused(path, f"column {name!r:.60}: {error}", "rename it") from None


def _refused(path: Path, why: str, remedy: str) -> OperatorError:
    return OperatorError(f"{path}, line 1: {why}\nNext: {remedy}. Nothing was imported.")
