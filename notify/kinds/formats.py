"""Dates, times and numbers as the reader's locale and time zone write them (CLDR, through Babel)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from jinja2 import pass_context
from jinja2.runtime import Context, Undefined

ZONE = "time zone"
"""The context's tzinfo; no declared name can be this one, for it is no identifier."""

_DAY = "MMMEd"  # CLDR skeleton
_REMEMBERED = 4096  # the mails of a mailout print the same few values


def zone(name: str | None, default: str) -> tzinfo:
    """The IANA zone `name`, or the default where there is none of that name."""
    try:
        return ZoneInfo(name or default)
    except (ValueError, OSError, KeyError):  # malformed, a folder of zones, unknown
        return ZoneInfo(default)


def filters(locale: Locale) -> Mapping[str, Callable[..., Any]]:
    """The filters `date`, `time`, `datetime`, `number`, `percent` and `currency` for one locale.

    The first three take a CLDR format: `short`, `medium`, `long`, `full`, or a pattern such as `EEEE`; `date` also
    takes `day`: weekday, day and month as the locale orders them.
    """

    @_remembered
    def on_date(value: date, where: tzinfo, form: str) -> str:
        day = value.astimezone(where) if isinstance(value, datetime) else value
        if form == "day":
            return dates.format_skeleton(_DAY, day, locale=locale)
        return dates.format_date(day, form, locale)

    @_remembered
    def at_time(value: datetime, where: tzinfo, form: str) -> str:
        return dates.format_time(value, form, where, locale)

    @_remembered
    def at_datetime(value: datetime, where: tzinfo, form: str) -> str:
        return dates.format_datetime(value, form, where, locale)

    @_remembered
    def in_currency(value: float, code: str) -> str:
        return numbers.format_currency(value, code, locale=locale)

    return {
        "date": _with_zone(on_date, date, "medium"),
        "time": _with_zone(at_time, datetime, "short"),
        "datetime": _with_zone(at_datetime, datetime, "medium"),
        "number": _number(_remembered(lambda value: numbers.format_decimal(value, locale=locale))),
        "percent": _number(_remembered(lambda value: numbers.format_percent(value, locale=locale))),
        "currency": _number(in_currency),
    }


def _remembered(write: Callable[..., str]) -> Callable[..., str]:
    return lru_cache(maxsize=_REMEMBERED)(write)


def _with_zone(write: Callable[..., str], kind: type, default: str) -> Callable[..., str]:
    @pass_context
    def in_zone(context: Context, value: Any, form: str = default) -> str:
        _require(isinstance(value, kind), value, kind.__name__)
        return write(value, context.parent[ZONE], form)

    return in_zone


def _number(write: Callable[..., str]) -> Callable[..., str]:
    @pass_context  # or Jinja would format a constant once, in the locale that compiles
    def checked(_: Context, value: Any, *arguments: Any) -> str:
        _require(isinstance(value, (int, float)) and not isinstance(value, bool), value, "number")
        return write(value, *arguments)

    return checked


def _require(fits: bool, value: Any, wanted: str) -> None:
    if isinstance(value, Undefined):
        str(value)  # raises the error that says what is missing
    if not fits:
        raise TypeError(f"needs a {wanted}, not {type(value).__name__}")
