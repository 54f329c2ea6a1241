"""Who left stays left: whatever else is said of their address, wherever they move, and however often they said it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.audience import confirming, consent, erasure, leaving, recipients, returning, suppressing
from notify.audience.leaving import Breadth, Parting
from notify.audience.person import person
from notify.audience.roster.importing import import_roster
from notify.model import Author, Channel, ConsentAction, MessageState, Source
from notify.store import ageing, preferences, tables
from tests.drain import drain
from tests.kinds import make_kind

BY = Author("recipient:ada", Source.PAGE)
ADA, NEW = "ada@example.org", "new@example.org"


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "promo", toml="transactional = true\nconsent = true")
    make_kind(templates, "reset", toml="transactional = true\nrequired = true")


@dataclass
class Mail:
    """One that went to Ada, with the link in it."""

    app: App
    message_id: UUID
    recipient_id: UUID

    def open(self) -> Parting:
        found = leaving.of_message(self.app, self.message_id, self.recipient_id)
        assert found is not None
        return found

    def leave(self, breadth: Breadth) -> None:
        assert leaving.leave(self.app, self.open(), breadth, "page") is not None

    def undo(self) -> Parting:
        found = leaving.undo(self.app, self.open())
        assert found is not None
        return found


def last(app: App) -> Any:
    fields = (tables.messages.c[name] for name in ("id", "recipient_id", "state", "reason"))
    with app.store.read() as connection:
        return connection.execute(sa.select(*fields).order_by(tables.messages.c.id.desc()).limit(1)).one()


def mail(app: App, kind: str = "hello") -> Mail:
    notify.send(kind, {"key": "ada", "email": ADA})
    row = last(app)
    return Mail(app, row.id, row.recipient_id)


def reaches(app: App, kind: str = "hello") -> bool:
    notify.send(kind, "ada")
    queued: bool = last(app).state == MessageState.QUEUED
    return queued


def stands(app: App) -> list[tuple[str, str, str]]:
    """Address, scope and reason of every suppression."""
    chosen = sa.select(*(tables.suppressions.c[name] for name in ("address", "scope", "reason")))
    with app.store.read() as connection:
        return sorted((row.address, row.scope, row.reason) for row in connection.execute(chosen))


def forbid(app: App, reason: str) -> None:
    suppressing.add(app, ADA, actor="feedback", reason=reason, source="feedback")


# what others say of the address stands beside it


@pytest.mark.parametrize("reason", ["complained", "bounced", "manual"])
@pytest.mark.parametrize("before", [True, False])
def test_who_comes_back_lifts_nothing_but_what_they_left(app: App, reason: str, before: bool) -> None:
    found = mail(app)
    if before:
        forbid(app, reason)
    found.leave("all")
    if not before:
        forbid(app, reason)
    assert returning.come_back(app, found.recipient_id, Channel.EMAIL, ADA, "all", by=BY)
    assert stands(app) == [(ADA, "all", reason)]
    found.leave("all")
    found.undo()
    assert stands(app) == [(ADA, "all", reason)]


# the person's own word goes with the person


def roster(app: App, folder: Path, row: str) -> None:
    path = folder / "roster.csv"
    path.write_text(f"key,email,status\n{row}\n")
    import_roster(app, path, actor="test")


def test_an_import_with_another_address_brings_nobody_back(app: App, tmp_path: Path) -> None:
    mail(app).leave("category")
    roster(app, tmp_path, f"ada,{NEW},active")
    assert not reaches(app)
    assert (NEW, "test", "unsubscribed") in stands(app)


@pytest.mark.parametrize("status", ["unsubscribed", "complained"])
def test_what_a_roster_says_of_a_person_holds_for_their_next_address(app: App, tmp_path: Path, status: str) -> None:
    roster(app, tmp_path, f"ada,{ADA},{status}")
    roster(app, tmp_path, f"ada,{NEW},active")
    assert not reaches(app)


def test_a_bounce_stays_with_its_address(app: App, tmp_path: Path) -> None:
    roster(app, tmp_path, f"ada,{ADA},bounced")
    roster(app, tmp_path, f"ada,{NEW},active")
    assert reaches(app)


def test_another_primary_address_brings_nobody_back_and_an_undo_frees_them_all(app: App) -> None:
    found = mail(app)
    found.leave("all")
    for address in (NEW, "third@example.org"):
        recipients.add_address(app, "ada", Channel.EMAIL, address, by=BY, primary=True)
        assert not reaches(app)
    found.undo()
    assert stands(app) == []
    assert reaches(app)


def test_a_description_with_another_address_brings_nobody_back(app: App) -> None:
    mail(app).leave("category")
    notify.send("hello", {"key": "ada", "email": NEW})
    assert last(app).reason == "suppressed"


# leaving never stops what is required


def test_a_link_whose_message_is_gone_leaves_all_but_what_is_required(app: App) -> None:
    found = mail(app)
    drain(app)
    with app.store.begin() as connection:
        assert ageing.done_messages(connection, app.clock.now() + timedelta(days=1), 100) == 1
    assert leaving.at_once(app, found.message_id, found.recipient_id) is not None
    assert stands(app) == [(ADA, "all", "unsubscribed")]
    assert (reaches(app), reaches(app, "reset")) == (False, True)


def test_the_forecast_tells_what_planning_does(app: App) -> None:
    mail(app).leave("all")
    told = {kind: notify.explain(kind, "ada").channels[0].outcome for kind in ("hello", "reset")}
    assert told == {"hello": "skipped", "reset": "sent"}


# an undo takes back what its link did, and no more


def test_a_consent_that_was_withdrawn_again_stays_so(app: App) -> None:
    mail(app)
    consent.grant(app, "ada", "test", wording="yes", source="form", by=BY)
    found = mail(app, "promo")
    found.leave("category")
    consent.grant(app, "ada", "test", wording="yes, again", source="page", by=BY)
    consent.withdraw(app, "ada", "test", source="page", by=BY)
    found.undo()
    assert consent.state(app, "ada")["test"].action is ConsentAction.WITHDRAWN


def test_a_suppression_goes_with_the_last_link_that_says_no(app: App) -> None:
    first, second = mail(app), mail(app)
    first.leave("all")
    second.leave("all")
    assert first.undo().left == ("all",)
    assert not reaches(app)
    assert second.undo().left == ()
    assert reaches(app)


def test_consent_comes_back_with_the_last_link_that_says_no(app: App) -> None:
    mail(app)
    consent.grant(app, "ada", "test", wording="yes", source="form", by=BY)
    first, second = mail(app, "promo"), mail(app, "promo")
    first.leave("category")
    second.leave("all")
    first.undo()
    assert consent.state(app, "ada")["test"].action is ConsentAction.WITHDRAWN
    second.undo()
    assert consent.state(app, "ada")["test"].action is ConsentAction.GRANTED
    assert reaches(app, "promo")


def test_a_no_that_was_taken_back_on_the_page_holds_no_later_one(app: App) -> None:
    first, second = mail(app), mail(app)
    first.leave("category")
    returning.come_back(app, first.recipient_id, Channel.EMAIL, ADA, "test", by=BY)
    second.leave("category")
    assert first.open().left == ()
    first.undo()
    assert not reaches(app)
    second.undo()
    assert reaches(app)


# while somebody else changes the recipient


def test_a_link_that_was_open_when_its_recipient_was_erased_stores_nothing(app: App) -> None:
    found = mail(app)
    opened = found.open()
    erasure.erase(app, "ada", reason="asked", actor="test")
    before = stands(app)
    assert leaving.leave(app, opened, "category", "page") is None
    assert leaving.undo(app, opened) is None
    assert stands(app) == before == []


def test_a_link_that_was_open_while_the_address_changed_leaves_the_new_one_too(app: App, tmp_path: Path) -> None:
    opened = mail(app).open()
    roster(app, tmp_path, f"ada,{NEW},active")
    leaving.leave(app, opened, "category", "page")
    assert not reaches(app)


def test_who_leaves_waits_for_an_erasure_under_way(app: App) -> None:
    if app.store.engine.dialect.name == "sqlite":
        pytest.skip("one writer at a time")
    found = mail(app)
    opened = found.open()
    answers: list[Parting | None] = []
    with app.store.begin() as connection:
        assert preferences.by_id(connection, found.recipient_id, lock=True) is not None
        leaves = threading.Thread(target=lambda: answers.append(leaving.leave(app, opened, "category", "page")))
        leaves.start()
        gone = sa.update(tables.recipients).where(tables.recipients.c.id == found.recipient_id)
        connection.execute(gone.values(erased_at=app.clock.now()))
    leaves.join(30)
    assert answers == [None]
    assert stands(app) == []


# the predecessor's links


def test_a_link_of_the_predecessor_leaves_an_address_in_either_form_of_its_domain(app: App) -> None:
    notify.send("hello", {"key": "ada", "email": "ada@bücher.example"})
    opened = leaving.of_address(app, "ada@xn--bcher-kva.example")
    assert leaving.leave(app, opened, "all", "page") is not None
    assert (reaches(app), reaches(app, "reset")) == (False, True)


def test_a_link_of_the_predecessor_leaves_the_address_in_use_too(app: App) -> None:
    mail(app)
    recipients.add_address(app, "ada", Channel.EMAIL, NEW, by=BY, primary=True)
    opened = leaving.of_address(app, ADA)
    leaving.leave(app, opened, "all", "page")
    assert not reaches(app)
    assert leaving.undo(app, leaving.of_address(app, ADA)) is not None
    assert reaches(app)


# one kind


def test_who_says_yes_to_a_category_gets_the_kinds_again_that_they_left_alone(app: App) -> None:
    mail(app)
    consent.grant(app, "ada", "test", wording="yes", source="form", by=BY)
    mail(app, "promo").leave("kind")
    consent.withdraw(app, "ada", "test", source="page", by=BY)
    with app.store.begin() as connection:
        holder = person(connection, "ada", lock=True)
        asked = confirming.asked(
            app, connection, holder, "test", wording="yes", source="form", by=BY, address=UUID(int=7)
        )
    confirming.confirm(app, asked.id, {})
    assert stands(app) == []
    assert reaches(app, "promo")
