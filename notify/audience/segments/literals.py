"""Values as they stand in an expression: texts, numbers, truth, dates, and spans of time."""

from __future__ import annotations

import re
from datetime import date, timedelta

from notify.audience.segments.tokens import Sort, Token, mistake
from notify.model.segment import Value

DIGITS = 15  # so many are the same number in every database
LONGEST_SPAN = timedelta(days=36_500)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SPAN = re.compile(r"(\d{1,6})(h|d|w)")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def value(expression: str, token: Token) -> Value:
    """The value that a token stands for. Raises `InvalidSegment`."""
    if token.sort is Sort.TEXT:
        return text(expression, token)
    if token.word in ("true", "false"):
        return token.word == "true"
    if token.sort is Sort.FIGURE:
        return _figure(expression, token)
    what = "put a text in quotes" if token.sort is Sort.WORD else "here stands a value"
    raise mistake(expression, token.span, f'{what}: "NL", 18, 2000-01-31 or true')


def text(expression: str, token: Token) -> str:
    """A text that is not blank."""
    if not token.text.strip():
        raise mistake(expression, token.span, "a blank text is never asked for; is set asks whether there is any")
    return token.text


def span(expression: str, token: Token) -> timedelta:
    """A span of time: `12h`, `30d`, `6w`."""
    found = _SPAN.fullmatch(token.text) if token.sort is Sort.FIGURE and token.text.isascii() else None
    if found is None:
        raise mistake(expression, token.span, "after within stands a span of time such as 12h, 30d or 6w")
    length = int(found[1]) * _UNITS[found[2]]
    if not timedelta() < length <= LONGEST_SPAN:
        raise mistake(expression, token.span, f"a span is longer than nothing and at most {LONGEST_SPAN.days:,}d")
    return length


def _figure(expression: str, token: Token) -> Value:
    if token.text.isascii() and _DATE.fullmatch(token.text):
        try:
            found = date.fromisoformat(token.text)
        except ValueError:
            raise mistake(expression, token.span, "no calendar has this day; write it like 2000-01-31") from None
        if found == date.max:  # the day after is asked for, too
            raise mistake(expression, token.span, "the last day that can be asked for is 9999-12-30")
        return found
    if token.text.isascii() and _NUMBER.fullmatch(token.text):
        if sum(sign.isdigit() for sign in token.text) > DIGITS:
            raise mistake(expression, token.span, f"a number has at most {DIGITS} digits; longer ones are texts")
        return float(token.text) if "." in token.text else int(token.text)
    raise mistake(expression, token.span, "neither a number such as 18 or 2.5 nor a date such as 2000-01-31")
