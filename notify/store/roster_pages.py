"""Everyone of a tenant's roster, page by page in the order of their keys, all of it as it was at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from notify.model import Channel
from notify.model.recipient import REASONS
from notify.store.dialect import any_bound
from notify.store.engine import Store
from notify.store.tables import addresses, recipients, suppressions

PAGE = 2000


@dataclass(frozen=True, slots=True)
class Listed:
    """A recipient as the roster tells of them; `suppressed` is why their e-mail address must not be used at all."""

    key: str
    locale: str | None
    timezone: str | None
    attributes: Mapping[str, Any]
    tags: Sequence[str]
    active: bool
    email: str | None
    phone: str | None
    suppressed: str | None


@contextmanager
def snapshot(store: Store) -> Iterator[sa.Connection]:
    """A connection that sees the database as it was at its first statement."""
    with store.read() as connection:
        if connection.dialect.name != "sqlite":  # whose readers never see anything else
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def attributes(connection: sa.Connection, tenant_id: UUID, tags: Sequence[str] = ()) -> list[str]:
    """The names of all attributes of anyone, in order."""
    return sorted(connection.scalars(_naming(connection.dialect.name, bool(tags)), _given(tenant_id, tags)))


def has_phones(connection: sa.Connection, tenant_id: UUID) -> bool:
    """Whether anyone has a phone number."""
    of_tenant = addresses.c.tenant_id == tenant_id
    some = sa.select(addresses.c.id).where(of_tenant, addresses.c.channel == Channel.SMS).limit(1)
    return connection.scalar(some) is not None


def everyone(connection: sa.Connection, tenant_id: UUID, now: datetime, tags: Sequence[str] = ()) -> Iterator[Listed]:
    """Everyone who was not erased; with `tags`, those who have any of them."""
    after = ""
    page = _page(connection.dialect.name, bool(tags))
    while rows := connection.execute(page, {**_given(tenant_id, tags), "now": now, "after": after}).all():
        for key, locale, timezone, said, tagged, deactivated_at, email, phone, suppressed in rows:
            yield Listed(key, locale, timezone, said, tagged, deactivated_at is None, email, phone, suppressed)
        after = rows[-1].key


def _given(tenant_id: UUID, tags: Sequence[str]) -> dict[str, Any]:
    return {"tenant": tenant_id, **({"tags": list(tags)} if tags else {})}


@cache
def _page(dialect: str, tagged: bool) -> sa.Select[Any]:
    fields = (recipients.c[name] for name in ("key", "locale", "timezone", "attributes", "tags", "deactivated_at"))
    reached = [_primary(channel).label(channel.value) for channel in (Channel.EMAIL, Channel.SMS)]
    chosen = sa.select(*fields, *reached, _suppressed().label("suppressed"))
    beyond = recipients.c.key > sa.bindparam("after")
    return chosen.where(*_these(dialect, tagged), beyond).order_by(recipients.c.key).limit(PAGE)


def _primary(channel: Channel) -> sa.ScalarSelect[Any]:
    first = addresses.c.recipient_id == recipients.c.id, addresses.c.channel == channel, addresses.c.is_primary
    return sa.select(addresses.c.value).where(*first).scalar_subquery()


def _suppressed() -> sa.ScalarSelect[Any]:
    return (
        sa.select(suppressions.c.reason)
        .join(
            addresses,
            (suppressions.c.tenant_id == addresses.c.tenant_id)
            & (suppressions.c.channel == addresses.c.channel)
            & (suppressions.c.address == addresses.c.folded),
        )
        .where(
            addresses.c.recipient_id == recipients.c.id,
            addresses.c.channel == Channel.EMAIL,
            addresses.c.is_primary,
            suppressions.c.scope == "all",
            sa.or_(suppressions.c.expires_at.is_(None), suppressions.c.expires_at > sa.bindparam("now")),
        )
        .order_by(sa.case({reason: rank for rank, reason in enumerate(REASONS)}, value=suppressions.c.reason))
        .limit(1)
        .correlate(recipients)
        .scalar_subquery()
    )


@cache
def _naming(dialect: str, tagged: bool) -> sa.Select[Any]:
    if dialect == "sqlite":
        each = sa.func.json_each(recipients.c.attributes).table_valued("key")
        both = recipients.join(each, sa.true())
        return sa.select(each.c.key).distinct().select_from(both).where(*_these(dialect, tagged))
    name = sa.func.jsonb_object_keys(recipients.c.attributes).label("name")
    return sa.select(name).distinct().where(*_these(dialect, tagged))


def _these(dialect: str, tagged: bool) -> list[sa.ColumnElement[bool]]:
    chosen = [recipients.c.tenant_id == sa.bindparam("tenant"), recipients.c.erased_at.is_(None)]
    if tagged:
        elements = sa.func.json_each if dialect == "sqlite" else sa.func.jsonb_array_elements_text
        tag = elements(recipients.c.tags).table_valued("value").c.value
        chosen.append(sa.select(sa.literal(1)).where(any_bound(dialect, sa.type_coerce(tag, sa.Text), "tags")).exists())
    return chosen
