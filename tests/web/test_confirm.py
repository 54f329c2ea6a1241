"""Double opt-in and verification: the link's page says what is asked, and a button makes it so, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

import notify
from notify import web
from notify.app import App
from notify.audience import consent
from notify.intake import confirmations
from notify.model import Consent, ConsentAction
from notify.store import tables
from tests.web.people import BY, WORDING, confirm_path, headings, reaches, rows, unsubscribe_path, verify_path


@pytest.fixture
def client(asking: App) -> Iterator[TestClient]:
    with TestClient(web.make(asking), raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def entries(asking: App) -> list[str]:
    with asking.store.read() as connection:
        chosen = sa.select(tables.consents.c.action).order_by(tables.consents.c.number)
        return list(connection.scalars(chosen))


def test_looking_at_what_is_asked_agrees_to_nothing(asking: App, client: TestClient, asked: Consent) -> None:
    page = client.get(confirm_path(asking, asked))
    assert (page.status_code, headings(page.text)) == (200, ["Bevestig je aanmelding"])
    assert WORDING in page.text
    assert "Our newsletter" in page.text
    assert entries(asking) == ["asked"]
    assert not reaches(asking, "news")


def test_a_button_agrees_once(asking: App, client: TestClient, asked: Consent) -> None:
    path = confirm_path(asking, asked)
    for _ in range(2):
        page = client.post(path, headers={"User-Agent": "A browser"})
        assert (page.status_code, headings(page.text)) == (200, ["Je bent aangemeld"])
    assert headings(client.get(path).text) == ["Je bent aangemeld"]
    assert entries(asking) == ["asked", "granted"]
    proof = consent.state(asking, "ada")["newsletter"].proof
    assert proof
    assert proof["user_agent"] == "A browser"
    assert reaches(asking, "news")


def test_a_link_that_expired_or_was_withdrawn_agrees_to_nothing(
    asking: App, client: TestClient, asked: Consent
) -> None:
    late = client.post(confirm_path(asking, asked, left=timedelta(seconds=-1)))
    assert (late.status_code, headings(late.text)) == (410, ["This link is no longer valid"])
    consent.withdraw(asking, "ada", "newsletter", source="phone", by=BY)
    assert client.get(confirm_path(asking, asked)).status_code == 410
    assert client.post(confirm_path(asking, asked)).status_code == 410
    assert client.post("/confirm?token=nonsense").status_code == 400
    assert client.post(confirm_path(asking, asked).replace("/confirm", "/verify")).status_code == 400
    assert entries(asking) == ["asked", "withdrawn"]


def test_leaving_withdraws_what_was_agreed_to_and_an_undo_agrees_again(
    asking: App, client: TestClient, asked: Consent
) -> None:
    client.post(confirm_path(asking, asked))
    path = unsubscribe_path(asking, to="ada")
    client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert consent.state(asking, "ada")["newsletter"].action is ConsentAction.WITHDRAWN
    client.post(path, data={"undo": "1"})
    now = consent.state(asking, "ada")["newsletter"]
    assert (now.action, now.wording) == (ConsentAction.GRANTED, WORDING)
    assert reaches(asking, "news")
    client.post(path, data={"scope": "all"})
    assert consent.state(asking, "ada")["newsletter"].action is ConsentAction.WITHDRAWN
    assert consent.verify_chain(asking).faults == ()


def test_leaving_one_kind_withdraws_nothing(asking: App, client: TestClient, asked: Consent) -> None:
    client.post(confirm_path(asking, asked))
    client.post(unsubscribe_path(asking, to="ada"), data={"scope": "kind"})
    assert entries(asking) == ["asked", "granted"]


def test_who_agreed_again_elsewhere_is_not_told_that_they_left(asking: App, client: TestClient, asked: Consent) -> None:
    client.post(confirm_path(asking, asked))
    path = unsubscribe_path(asking, to="ada")
    client.post(path, data={"scope": "category"})
    again = confirmations.ask_consent(asking, "ada", "newsletter", wording=WORDING, source="form", by=BY)
    client.post(confirm_path(asking, again))
    assert headings(client.get(path).text) == ["Afmelden"]
    assert reaches(asking, "news")


def test_a_button_verifies_an_address_once(asking: App, client: TestClient, asked: Consent) -> None:
    path = verify_path(asking)
    assert headings(client.get(path).text) == ["Confirm your address"]
    assert [row.verified for row in rows(asking, tables.addresses)] == [False]
    for _ in range(2):
        assert headings(client.post(path).text) == ["Your address is confirmed"]
    assert [row.verified for row in rows(asking, tables.addresses)] == [True]


def test_an_address_that_changed_since_is_not_verified(asking: App, client: TestClient, asked: Consent) -> None:
    path = verify_path(asking)
    notify.send("news", to={"key": "ada", "email": "ada@new.example.org"})
    assert client.get(path).status_code == 410
    assert client.post(path).status_code == 410
    assert [row.verified for row in rows(asking, tables.addresses)] == [False]
