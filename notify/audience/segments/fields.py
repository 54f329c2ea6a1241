"""What an expression may ask about: every field with its type, and every word of the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from notify.model import Channel
from notify.model.segment import Engagement, Operator, Value

ORDERED = (Operator.BELOW, Operator.AT_MOST, Operator.ABOVE, Operator.AT_LEAST, Operator.BETWEEN)
OF_TEXT = (Operator.IS, Operator.IS_NOT, Operator.IN, Operator.CONTAINS, Operator.STARTS)
OF_NUMBERS = (Operator.IS, Operator.IS_NOT, Operator.IN, *ORDERED)
OF_TRUTH = (Operator.IS, Operator.IS_NOT)
OF_DATES = (Operator.IS, Operator.IS_NOT, *ORDERED, Operator.WITHIN)


@dataclass(frozen=True, slots=True)
class Field:
    """`operators` by the type of what it is compared with; `among` are the only texts it can be."""

    operators: Mapping[str, tuple[Operator, ...]]
    meaning: str
    among: tuple[str, ...] = ()
    lacking: bool = True  # whether there are recipients without it


TEXT, NUMBER, TRUTH, DATE = "text", "number", "true or false", "date"

FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "key": Field({TEXT: OF_TEXT}, "the application's own name for the recipient", lacking=False),
        "locale": Field({TEXT: (*OF_TEXT, Operator.MATCHES)}, '`nl-BE`; `matches "nl"` is any Dutch'),
        "timezone": Field({TEXT: OF_TEXT}, "`Europe/Amsterdam`"),
        "created": Field({DATE: OF_DATES}, "when the recipient came into the roster, in UTC", lacking=False),
        "status": Field(
            {TEXT: (Operator.IS, Operator.IS_NOT, Operator.IN)},
            "`active`, or `inactive` when deactivated",
            ("active", "inactive"),
            lacking=False,
        ),
        "email": Field({TEXT: OF_TEXT}, "the primary e-mail address, without regard to case"),
        "email.domain": Field({TEXT: OF_TEXT}, "what stands behind its @"),
        "phone": Field({TEXT: OF_TEXT}, "the primary phone number, as in `+31612345678`"),
        "attr.NAME": Field(
            {TEXT: OF_TEXT, NUMBER: OF_NUMBERS, TRUTH: OF_TRUTH, DATE: OF_DATES},
            'an attribute, `attr.address.city` one within it, `attr."job title"` one with a blank',
        ),
    }
)

REACHED: Mapping[str, Channel] = MappingProxyType({"email": Channel.EMAIL, "phone": Channel.SMS})
"""What `has` and `verified` ask for."""

TERMS = ("tags", "has", "verified", "consent", "wants", *Engagement)
"""The words that begin a term and are no fields."""

WORDS = frozenset(
    {"and", "or", "not", "true", "false", "attr", "to", "by", "any", "all", "kind", "category", "never", "set"}
    | {"starts", "with", "is"}
    | {word for operator in Operator for word in operator.split() if word.isalpha()}
    | {name.partition(".")[0] for name in FIELDS}
    | set(TERMS)
)
"""No saved segment can be called by one of these."""


def type_of(value: Value) -> str:
    """The type of a value, as sentences name it."""
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int | float):
        return NUMBER
    return DATE if isinstance(value, date | timedelta) else TEXT
