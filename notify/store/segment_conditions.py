"""A segment's conditions as conditions of a statement about recipients: built, never written as text.

Each is true or false on its own, so that `not` means what it says: what is missing makes a comparison false, and the
`not` of it true. Both databases answer alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Address, Channel, ConsentAction, EventType
from notify.model.segment import (
    Agreed,
    Compare,
    Condition,
    Engaged,
    Engagement,
    Every,
    Has,
    Not,
    Operator,
    Reachable,
    Some,
    Wants,
)
from notify.store import segment_attributes as json
from notify.store.segment_attributes import Test
from notify.store.tables import addresses, consents, events, messages, notifications, recipients

_SIGNS = {
    Operator.IS: eq,
    Operator.IS_NOT: ne,
    Operator.BELOW: lt,
    Operator.AT_MOST: le,
    Operator.ABOVE: gt,
    Operator.AT_LEAST: ge,
}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose recipients are asked about, on which database, and what `within 30d` counts back from."""

    tenant_id: UUID
    dialect: str
    now: datetime

    def of(self, condition: Condition) -> sa.ColumnElement[bool]:
        """The condition for a statement that selects from recipients."""
        match condition:
            case Every(parts):
                return sa.and_(*(self.of(part) for part in parts))
            case Some(parts):
                return sa.or_(*(self.of(part) for part in parts))
            case Not(part):
                return sa.not_(self.of(part))
            case Compare():
                return self._compare(condition)
        return self._said(condition)

    # fields

    def _compare(self, term: Compare) -> sa.ColumnElement[bool]:
        if term.name == "attr":
            return self._attribute(term)
        if term.name == "created":
            return self._moment(term)
        if term.name in ("email", "email.domain", "phone"):
            return self._reached(term)
        if term.name == "status":
            return self._text(term)(sa.case((recipients.c.deactivated_at.is_(None), "active"), else_="inactive"))
        column = recipients.c[term.name]
        return sa.and_(column.is_not(None), self._text(term)(column))

    def _reached(self, term: Compare) -> sa.ColumnElement[bool]:
        if term.name == "phone":
            return _address(Channel.SMS, self._text(term)(addresses.c.value))
        if term.name == "email":
            return _address(Channel.EMAIL, self._text(_folded(term))(addresses.c.folded))
        return _address(Channel.EMAIL, self._text(_folded(term, "x@"))(self._behind_the_at()))

    def _text(self, term: Compare) -> Test:
        """The test of a text that is there."""
        values = [str(value) for value in term.values]
        match term.operator:
            case Operator.IN:
                return lambda column: column.in_(values)
            case Operator.CONTAINS:
                return lambda column: self._position(column, values[0]) > 0
            case Operator.STARTS:
                return lambda column: sa.func.substr(column, 1, len(values[0])) == values[0]
            case Operator.MATCHES:
                language = values[0].replace("_", "-").lower()
                return lambda column: sa.or_(
                    sa.func.lower(column) == language,
                    sa.func.substr(sa.func.lower(column), 1, len(language) + 1) == f"{language}-",
                )
            case Operator.IS_SET:
                return lambda column: column.is_not(None)
        sign = _SIGNS[term.operator]
        return lambda column: sign(column, values[0])

    def _moment(self, term: Compare) -> sa.ColumnElement[bool]:
        """The day on which a recipient came, in UTC."""
        column = recipients.c.created_at
        if term.operator is Operator.IS_SET:
            return sa.true()
        if term.operator is Operator.WITHIN:
            return column >= self.now - _span(term.values[0])
        begins = [datetime.combine(_date(value), time(), UTC) for value in term.values]
        first, last = begins[0], begins[-1] + _DAY
        open_ended = {
            Operator.BELOW: column < first,
            Operator.AT_LEAST: column >= first,
            Operator.AT_MOST: column < last,
            Operator.ABOVE: column >= last,
        }
        if term.operator in open_ended:
            return open_ended[term.operator]
        there = sa.and_(column >= first, column < last)  # =, and between
        return sa.not_(there) if term.operator is Operator.IS_NOT else there

    def _attribute(self, term: Compare) -> sa.ColumnElement[bool]:
        held = json.attribute(term.path, self.dialect)
        if term.operator is Operator.IS_SET:
            return held.is_set()
        match term.values[0]:
            case bool(wanted):
                sign, word = _SIGNS[term.operator], "true" if wanted else "false"
                return held.holds("truth", lambda value: sign(value, word))
            case int() | float():
                return held.holds("number", self._number(term))
            case date() | timedelta():
                return held.holds("text", self._day(term))
        return held.holds("text", self._text(term))

    def _number(self, term: Compare) -> Test:
        values = [self._figure(value) for value in term.values]
        if term.operator is Operator.IN:
            return lambda column: column.in_(values)  # an OR of hundreds is deeper than SQLite allows
        if term.operator is Operator.BETWEEN:
            return lambda column: sa.and_(column >= values[0], column <= values[1])
        sign = _SIGNS[term.operator]
        return lambda column: sign(column, values[0])

    def _figure(self, value: Any) -> sa.BindParameter[Any]:
        """The numbers of JSON are doubles in SQLite and decimals in PostgreSQL."""
        if isinstance(value, int):
            return sa.literal(value, sa.BigInteger)
        if self.dialect == "sqlite":
            return sa.literal(value, sa.Float)
        return sa.literal(Decimal(str(value)), sa.Numeric)

    def _day(self, term: Compare) -> Test:
        """A text that begins like a date, by its day as it is written."""
        if term.operator is Operator.WITHIN:
            first, last = (self.now - _span(term.values[0])).date(), self.now.date()
        else:
            first, last = _date(term.values[0]), _date(term.values[-1])

        def test(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
            day = sa.func.substr(column, 1, 10)
            if term.operator in _SIGNS:
                compared = _SIGNS[term.operator](day, first.isoformat())
            else:
                compared = sa.and_(day >= first.isoformat(), day <= last.isoformat())
            return sa.and_(self._like_a_date(column), compared)

        return test

    def _like_a_date(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        if self.dialect == "sqlite":
            digit = "[0-9]"
            return column.op("GLOB", is_comparison=True)(f"{digit * 4}-{digit * 2}-{digit * 2}*")
        return column.op("~", is_comparison=True)("^[0-9]{4}-[0-9]{2}-[0-9]{2}")

    def _position(self, column: sa.ColumnElement[Any], text: str) -> sa.ColumnElement[int]:
        """Where the text first stands, from 1; 0 when nowhere. LIKE would not tell capitals from small letters."""
        find = sa.func.instr if self.dialect == "sqlite" else sa.func.strpos
        return find(column, text, type_=sa.Integer)

    def _behind_the_at(self) -> sa.ColumnElement[str]:
        return sa.func.substr(addresses.c.folded, self._position(addresses.c.folded, "@") + 1, type_=sa.Text)

    # tags, addresses, what was sent, and what they said

    def _said(self, term: Has | Reachable | Engaged | Agreed | Wants) -> sa.ColumnElement[bool]:
        match term:
            case Has(path, words, every):
                held = json.attribute(path, self.dialect) if path else json.tags(self.dialect)
                return held.has(words, every=every)
            case Reachable(channel, verified):
                return _address(channel, addresses.c.verified if verified else sa.true())
            case Engaged():
                return self._engaged(term)
            case Agreed(category):
                return self._agreed(category)
            case Wants(category, channel):
                return self._wants(category, channel, default=term.default)

    def _engaged(self, term: Engaged) -> sa.ColumnElement[bool]:
        if term.what is Engagement.SENT:
            found = sa.select(messages.c.id).where(messages.c.recipient_id == recipients.c.id)
            found, at = found.where(messages.c.sent_at.is_not(None)), messages.c.sent_at
        else:
            found = sa.select(events.c.id).where(events.c.recipient_id == recipients.c.id, sa.not_(events.c.bot))
            found, at = found.where(events.c.type == EventType(term.what.value)), events.c.at
            if term.kinds is not None:
                found = found.join(messages, messages.c.id == events.c.message_id)
        if term.kinds is not None:
            found = found.join(notifications, notifications.c.id == messages.c.notification_id)
            found = found.where(notifications.c.kind.in_(term.kinds))
        if term.within is not None:
            found = found.where(at >= self.now - term.within)
        return found.correlate(recipients).exists()

    def _agreed(self, category: str) -> sa.ColumnElement[bool]:
        """What they last said of it. That a confirmation was asked for says nothing yet."""
        last = (
            sa.select(consents.c.action)
            .where(consents.c.tenant_id == self.tenant_id, consents.c.recipient_id == recipients.c.id)
            .where(consents.c.category == category, consents.c.action != ConsentAction.ASKED)
            .order_by(consents.c.number.desc())
            .limit(1)
            .correlate(recipients)
            .scalar_subquery()
        )
        return sa.func.coalesce(last, "") == ConsentAction.GRANTED

    def _wants(self, category: str, channel: Channel, *, default: bool) -> sa.ColumnElement[bool]:
        chosen = json.choice(category, channel, self.dialect)
        against = "false" if default else "true"
        other = chosen.holds("truth", lambda value: value == against)
        return sa.not_(other) if default else other


def _address(channel: Channel, test: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The recipient's primary address on the channel passes the test."""
    theirs = (addresses.c.recipient_id == recipients.c.id, addresses.c.channel == channel, addresses.c.is_primary)
    return sa.select(addresses.c.id).where(*theirs, test).correlate(recipients).exists()


def _folded(term: Compare, before: str = "") -> Compare:
    """The same with its texts in the form in which addresses are compared; `before` makes an address of a domain."""
    whole = term.operator in (Operator.IS, Operator.IS_NOT, Operator.IN)
    values = [
        Address(Channel.EMAIL, f"{before}{value}").folded.removeprefix(before) if whole else str(value).casefold()
        for value in term.values
    ]
    return Compare(term.name, term.path, term.operator, tuple(values), term.span)


def _date(value: Any) -> date:
    assert isinstance(value, date)
    return value


def _span(value: Any) -> timedelta:
    assert isinstance(value, timedelta)
    return value
