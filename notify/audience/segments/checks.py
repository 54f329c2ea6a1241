"""Only what makes sense is asked of the database: values have the type of their field, names are those of something."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from notify.audience.segments.fields import FIELDS, type_of
from notify.audience.segments.tokens import Token, mistake, shown
from notify.errors import did_you_mean
from notify.model.segment import Compare, Condition, Every, Not, Operator, Some, Span, Term, Value


def require_sense(expression: str, term: Compare, named: Span, operator: Token) -> None:
    """Refuse an operator or a value that this field cannot have, with `InvalidSegment`."""
    if term.operator is Operator.IS_SET:
        return
    field = FIELDS["attr.NAME" if term.name == "attr" else term.name]
    name = expression[named.start : named.end][:40]
    types = list(dict.fromkeys(type_of(value) for value in term.values))
    if len(types) > 1:
        raise mistake(expression, term.span, f"these values are of several types ({', '.join(types)}); ask for one")
    [given] = types
    allowed = field.operators.get(given)
    if allowed is None:
        remedy = "put it in quotes" if "text" in field.operators else f"write a {shown(tuple(field.operators))}"
        raise mistake(expression, term.span, f"{name} cannot be compared with a {given}; {remedy}")
    if term.operator not in allowed:
        rest = f"; a {given} allows {', '.join(allowed)}"
        raise mistake(expression, operator.span, f"{term.operator} cannot be asked of {name} with a {given}{rest}")
    _require_order(expression, term)
    for value in term.values if field.among else ():
        if value not in field.among:
            near = did_you_mean(str(value)[:40], field.among)
            raise mistake(expression, term.span, f"{name} is {shown(field.among)}, never {str(value)[:40]!r}{near}")


def require_known(expression: str, term: Term, what: str, name: str, known: Collection[str]) -> None:
    """Refuse a kind or category that nothing has: asked with `not`, its misspelt name would mean everyone."""
    if name not in known:
        near = did_you_mean(name[:40], known)
        raise mistake(expression, term.span, f"there is no {what} {name[:40]!r}{near}")


def terms(condition: Condition) -> Iterator[Term]:
    """Every term, in the order of the expression."""
    match condition:
        case Every(parts) | Some(parts):
            for part in parts:
                yield from terms(part)
        case Not(part):
            yield from terms(part)
        case _:
            yield condition


def each(condition: Condition, change: Callable[[Term], Term]) -> Condition:
    """The same tree, with each term as `change` makes it."""
    match condition:
        case Every(parts, span):
            return Every(tuple(each(part, change) for part in parts), span)
        case Some(parts, span):
            return Some(tuple(each(part, change) for part in parts), span)
        case Not(part, span):
            return Not(each(part, change), span)
    return change(condition)


def _require_order(expression: str, term: Compare) -> None:
    if term.operator is not Operator.BETWEEN:
        return
    low, high = term.values
    if _later(low, high):
        raise mistake(expression, term.span, "between the greater and the smaller lies nothing; turn them round")


def _later(one: Value, other: Value) -> bool:
    return one > other  # type: ignore[operator]  # of one type, and only ordered ones come here
