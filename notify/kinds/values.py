"""The types of a kind's [data]: what a value must be, its JSON-ready normal form, and the way back to Python.

A normal form is stable: the same value always gives the same JSON, so that two requests can be compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType, UnionType
from typing import Any
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from notify.errors import did_you_mean

_UNWRITABLE = re.compile(r"[\x00\ud800-\udfff]")  # no database stores NUL, no encoding a lone surrogate
_URL_SPOILERS = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}]")  # RFC 3986 §2: never part of a URL
MAXIMUM_DEPTH = 20
_LARGEST = 2**63  # 64 bits with the sign: what databases, formats and other readers of JSON hold


class Misfit(ValueError):
    """The value is not of the type; the text says what it should be."""


@dataclass(frozen=True, slots=True)
class Field:
    """One declared value. `fields` describes an object's parts, `items` a list's elements; both may be open.

    The empty string may be the default of a text, a `url` or an `email`: it says that there is none.
    """

    type: str
    required: bool = True
    default: Any = None
    fields: Mapping[str, Field] | None = None
    items: Field | None = None


def normal_form(fields: Mapping[str, Field], data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`data` in normal form with defaults filled in, and every complaint about it, each naming its path."""
    complaints: list[str] = []
    return _object(fields, data, "", complaints), complaints


def typed(fields: Mapping[str, Field], stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored normal form with its dates as date and datetime objects, and defaults for what is not there."""
    values = {name: field.default for name, field in fields.items() if not field.required} | dict(stored)
    return {name: _revive(fields.get(name), value) for name, value in values.items()}


def _revive(field: Field | None, value: Any) -> Any:
    if field is None:
        return value
    if field.type in _PARSERS and isinstance(value, str):
        return _PARSERS[field.type](value)
    if field.fields is not None and isinstance(value, Mapping):
        return typed(field.fields, value)
    if field.items is not None and isinstance(value, list):
        return [_revive(field.items, item) for item in value]
    return value


def _object(fields: Mapping[str, Field], data: Mapping[str, Any], path: str, complaints: list[str]) -> dict[str, Any]:
    unknown = [name for name in data if name not in fields]
    complaints += [f"{path}{name} is not declared{did_you_mean(str(name), fields)}" for name in unknown]
    normal: dict[str, Any] = {}
    for name, field in fields.items():
        if name in data and data[name] == "" == field.default:
            normal[name] = ""
        elif name in data:
            normal[name] = _value(field, data[name], f"{path}{name}", complaints)
        elif field.required:
            complaints.append(f"{path}{name} ({field.type}) is missing")
        else:
            normal[name] = field.default
    return normal


def _value(field: Field, value: Any, path: str, complaints: list[str]) -> Any:
    closed = field.fields is not None or field.items is not None
    try:
        checked = _CHECKS[field.type](value)
        if field.type in ("object", "list") and not closed:
            checked = json_form(checked)
    except Misfit as misfit:
        complaints.append(f"{path} {misfit}")
        return None
    if field.fields is not None:
        return _object(field.fields, checked, f"{path}.", complaints)
    if field.items is not None:
        return [_value(field.items, item, f"{path}[{index}]", complaints) for index, item in enumerate(checked)]
    return checked


def _expected(what: str, value: Any) -> Misfit:
    given = "null" if value is None else type(value).__name__
    return Misfit(f"must be {what}, not {given}")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _expected("a string", value)
    if _UNWRITABLE.search(value):
        raise Misfit("holds NUL or half a surrogate pair, which cannot be written")
    return str.__str__(value)  # plain, even from a subclass that prints otherwise (Markup, Enum)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _expected("an integer", value)
    if not -_LARGEST <= value < _LARGEST:
        raise Misfit("must be an integer of at most 64 bits")
    return int(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _expected("a number", value)
    if isinstance(value, int):
        return _integer(value)
    if not math.isfinite(value):
        raise Misfit(f"must be a finite number, not {value}")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def _date(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise Misfit(f"must be a date such as 2026-03-29, not {value!r}") from None


def _datetime(value: Any) -> str:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Misfit(f"must be a time such as 2026-03-29T09:30:00+02:00, not {value!r}") from None
    if moment.tzinfo is None:
        raise Misfit(f"must have a UTC offset, which {value!s} lacks")
    try:
        return moment.astimezone(UTC).isoformat()
    except OverflowError:
        raise Misfit(f"must lie within the years 1 to 9999, which {value!s} does not") from None


def _url(value: Any) -> str:
    text = _string(value)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _URL_SPOILERS.search(text):
        raise Misfit(f"must be an http or https URL, not {text[:80]!r}")
    return text


def _email(value: Any) -> str:
    text = _string(value)
    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise Misfit(f"must be an e-mail address: {error}") from None
    return text


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _expected("an object", value)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _expected("a list", value)
    return list(value)


def json_form(value: Any, depth: int = 0) -> Any:
    """The normal form of what nobody declared: anything JSON can hold, and dates as text. Raises Misfit."""
    if type(value) is str and depth <= MAXIMUM_DEPTH:  # as most are
        return _string(value)
    if depth > MAXIMUM_DEPTH:
        raise Misfit(f"is nested deeper than {MAXIMUM_DEPTH} levels")
    for types, check in _SCALARS:
        if isinstance(value, types):
            return check(value)
    if isinstance(value, Mapping):
        return {_name(name): json_form(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_form(item, depth + 1) for item in value]
    raise _expected("a JSON value", value)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit(f"holds a value by the name {value!r:.40}, which must be a string")
    return _string(value)


_SCALARS: tuple[tuple[type | UnionType, Callable[[Any], Any]], ...] = (
    (bool | None, lambda value: value),
    (str, _string),
    (int | float, _number),
    (datetime, _datetime),
    (date, _date),
)


_CHECKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "string": _string,
        "integer": _integer,
        "number": _number,
        "boolean": _boolean,
        "date": _date,
        "datetime": _datetime,
        "url": _url,
        "email": _email,
        "object": _mapping,
        "list": _list,
    }
)
_PARSERS: Mapping[str, Callable[[str], date]] = MappingProxyType(
    {"date": date.fromisoformat, "datetime": datetime.fromisoformat}
)
TYPES = tuple(_CHECKS)
"""The words a kind.toml may use as a type."""

MAY_BE_EMPTY = ("string", "url", "email")
"""Types whose default may be the empty string."""
