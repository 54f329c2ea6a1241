"""Addresses: each belongs to one recipient of its tenant, whatever its case, whoever asks for it at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from notify.errors import AddressTaken
from notify.model import Author, Channel, Recipient, Source, fold
from notify.store import Store, open_store, recipients, tables, tenants
from notify.store.recipients import Change, Written
from notify.store.tenants import DEFAULT_ID

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BY = Author("test", Source.SEND)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


def at(key: str, address: str, channel: Channel = Channel.EMAIL) -> Change:
    return Change(key, addresses={channel: address})


def apply(store: Store, *changes: Change) -> Written:
    with store.begin() as connection:
        return recipients.apply(connection, DEFAULT_ID, changes, NOW, by=BY)


def person(store: Store, key: str) -> Recipient:
    with store.read() as connection:
        return recipients.by_keys(connection, DEFAULT_ID, [key])[key]


def email(store: Store, key: str) -> str:
    return person(store, key).addresses[Channel.EMAIL].value


def rows(store: Store) -> list[tuple[Any, ...]]:
    chosen = sa.select(tables.recipients.c.key, tables.addresses.c.value, tables.addresses.c.is_primary)
    joined = chosen.join(tables.addresses, tables.addresses.c.recipient_id == tables.recipients.c.id)
    with store.read() as connection:
        return sorted(tuple(row) for row in connection.execute(joined))


def add_row(store: Store, key: str, address: str, **values: Any) -> UUID:
    """An address that is not the primary one, unless `values` say so."""
    id_ = uuid7()
    row = {"id": id_, "tenant_id": DEFAULT_ID, "recipient_id": person(store, key).id, "channel": "email"}
    row |= {"value": address, "folded": fold(address), "verified": False, "created_at": NOW, "is_primary": False}
    with store.begin() as connection:
        connection.execute(sa.insert(tables.addresses), row | values)
    return id_


def test_another_recipients_address_is_refused_by_the_others_name(store: Store) -> None:
    apply(store, at("ada", "Ada@Example.org"))
    with pytest.raises(AddressTaken, match=r"recipient 'bob': ada@example\.org is the email address of .*'ada'") as no:
        apply(store, Change("eve"), at("bob", "ada@example.org"))
    assert (no.value.key, no.value.holder, no.value.channel) == ("bob", "ada", Channel.EMAIL)
    assert rows(store) == [("ada", "Ada@Example.org", True)]
    with store.read() as connection:
        assert recipients.all_keys(connection, DEFAULT_ID) == ["ada"]


def test_an_address_is_compared_without_case_and_with_its_domain_in_either_form(store: Store) -> None:
    apply(store, at("ada", "ada@bücher.example"))
    with pytest.raises(AddressTaken):
        apply(store, at("bob", "ADA@XN--BCHER-KVA.example"))
    assert fold("ADA@XN--BCHER-KVA.example") == fold("ada@bücher.example") == "ada@bücher.example"
    assert fold("ada@xn--.example") == "ada@xn--.example", "what is no A-label stays as it is"


def test_the_one_of_a_thousand_that_clashes_is_named(store: Store) -> None:
    apply(store, at("ada", "ada@example.org"))
    thousand = [at(f"u{n:04}", f"u{n}@example.org") for n in range(1000)]
    thousand[617] = at("u0617", "ADA@example.org")
    with pytest.raises(AddressTaken) as no:
        apply(store, *thousand)
    assert (no.value.key, no.value.holder) == ("u0617", "ada")


def test_two_of_one_call_cannot_have_one_address(store: Store) -> None:
    with pytest.raises(AddressTaken) as no:
        apply(store, at("bob", "x@example.org"), at("ada", "X@example.org"))
    assert (no.value.key, no.value.holder) == ("bob", "ada")


def test_the_same_address_on_two_channels_or_in_two_tenants_is_two_addresses(store: Store) -> None:
    apply(store, at("ada", "+31612345678", Channel.SMS))
    apply(store, at("bob", "+31612345678", Channel.CHAT))
    with store.begin() as connection:
        tenants.add(connection, "lab", NOW)
        lab = tenants.tenant_id(connection, "lab")
        assert recipients.apply(connection, lab, [at("eve", "+31612345678", Channel.SMS)], NOW, by=BY).inserted == 1


def test_two_recipients_change_places_in_one_call(store: Store) -> None:
    apply(store, at("ada", "ada@example.org"), at("bob", "bob@example.org"), at("eve", "eve@example.org"))
    told = apply(store, at("ada", "bob@example.org"), at("bob", "eve@example.org"), at("eve", "ada@example.org"))
    assert told.updated == 3
    assert [email(store, key) for key in ("ada", "bob", "eve")] == [
        "bob@example.org",
        "eve@example.org",
        "ada@example.org",
    ]
    assert {key: one.addresses for key, one in told.people.items()} == {
        key: person(store, key).addresses for key in ("ada", "bob", "eve")
    }


def test_an_address_that_was_left_is_free(store: Store) -> None:
    apply(store, at("ada", "ada@example.org"))
    apply(store, at("ada", "ada@example.net"))
    apply(store, at("bob", "ada@example.org"))
    assert rows(store) == [("ada", "ada@example.net", True), ("bob", "ada@example.org", True)]


def test_another_address_is_another_row_and_another_case_is_not(store: Store) -> None:
    apply(store, at("ada", "ada@example.org"))
    ids = sa.select(tables.addresses.c.id)
    with store.begin() as connection:
        connection.execute(sa.update(tables.addresses).values(verified=True))
        first = connection.scalar(ids)
    apply(store, at("ada", "Ada@Example.org"))
    assert person(store, "ada").addresses[Channel.EMAIL].verified
    assert email(store, "ada") == "Ada@Example.org"
    with store.read() as connection:
        assert connection.scalar(ids) == first
    apply(store, at("ada", "ada@example.net"))
    assert not person(store, "ada").addresses[Channel.EMAIL].verified
    with store.read() as connection:
        assert connection.scalar(ids) != first


def test_an_address_of_their_own_becomes_the_primary_one_and_keeps_its_proof(store: Store) -> None:
    apply(store, at("ada", "ada@example.org"))
    add_row(store, "ada", "ada@work.example", verified=True)
    told = apply(store, at("ada", "ada@work.example")).people["ada"]
    assert told == person(store, "ada")
    assert told.addresses[Channel.EMAIL].verified
    assert rows(store) == [("ada", "ada@example.org", False), ("ada", "ada@work.example", True)]


def test_who_keeps_an_address_beside_the_primary_one_does_not_make_it_free(store: Store) -> None:
    apply(store, at("ada", "ada@example.org"))
    add_row(store, "ada", "ada@work.example")
    with pytest.raises(AddressTaken):
        apply(store, at("ada", "ada@work.example"), at("bob", "ada@example.org"))


def test_who_shared_an_address_before_goes_on_and_nobody_joins_them(store: Store) -> None:
    apply(store, at("ada", "both@example.org"), Change("bob"))
    add_row(store, "bob", "both@example.org", is_primary=True, twin=1)
    assert apply(store, at("bob", "both@example.org")).unchanged == 1
    apply(store, at("ada", "ada@example.org"))
    with pytest.raises(AddressTaken) as no:
        apply(store, at("eve", "both@example.org"))
    assert no.value.holder == "bob"
    apply(store, at("bob", "bob@example.org"))
    apply(store, at("eve", "both@example.org"))
    with store.read() as connection:
        assert set(connection.scalars(sa.select(tables.addresses.c.twin))) == {0}


def test_of_two_callers_who_ask_for_one_address_one_gets_it_and_the_other_is_told_whose_it_is(store: Store) -> None:
    for turn in range(5):
        together = threading.Barrier(8)

        def ask(number: int, turn: int = turn, together: threading.Barrier = together) -> str | AddressTaken:
            key = f"u{number}-{turn}"
            others = [at(f"{key}-{n}", f"{key}-{n}@example.org") for n in range(number * 3)]
            together.wait(30)
            try:
                apply(store, at(key, f"shared-{turn}@example.org"), *others)
            except AddressTaken as error:
                return error
            return key

        with ThreadPoolExecutor(8) as callers:
            told = list(callers.map(ask, range(8)))
        [winner] = [one for one in told if isinstance(one, str)]
        assert {one.holder for one in told if isinstance(one, AddressTaken)} == {winner}


def test_two_callers_with_the_same_addresses_for_other_keys_do_not_wait_in_a_circle(store: Store) -> None:
    together = threading.Barrier(2)

    def ask(name: str, step: int) -> int:
        done = 0
        for turn in range(5):
            changes = [at(f"{name}-{turn}-{n:03}", f"{turn}-{(n * step) % 101}@example.org") for n in range(100)]
            together.wait(30)
            try:
                done += apply(store, *changes).inserted
            except AddressTaken:
                continue
        return done

    with ThreadPoolExecutor(2) as callers:
        made = [one.result(120) for one in [callers.submit(ask, "left", 1), callers.submit(ask, "right", 100)]]
    assert sum(made) == 500
