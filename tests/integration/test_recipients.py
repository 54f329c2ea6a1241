"""Recipients kept by hand: found, added, corrected; every change says who made it, when and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

import notify
from notify.app import App
from notify.audience import recipients as store
from notify.audience.correction import Edit
from notify.audience.roster.importing import import_roster
from notify.channels.sms import number
from notify.errors import AddressTaken, InvalidAddress, InvalidRecipient, NotFound, RequestError
from notify.model import Author, Channel, Recipient, Source, Suppression
from notify.store import recipients, suppressions, tables, tenants
from notify.store.recipients import Change
from notify.store.tenants import DEFAULT_ID
from tests.kinds import make_kind

ADA = {"key": "ada", "email": "Ada@Example.org", "name": "Ada", "locale": "nl", "tags": ["vip"]}


@pytest.fixture(autouse=True)
def _kind(templates: Path) -> None:
    make_kind(templates)


def audit(app: App) -> list[tuple[Any, ...]]:
    rows = tables.audit.c
    chosen = sa.select(rows.actor, rows.action, rows.subject, rows.detail).order_by(rows.id)
    with app.store.read() as connection:
        return [tuple(row) for row in connection.execute(chosen)]


def latest(key: str) -> dict[str, tuple[Any, Any]]:
    return dict(notify.recipients.history(key, limit=1)[0].changes)


def addresses(key: str) -> list[tuple[str, str, bool]]:
    return [(one.channel.value, one.value, one.primary) for one in notify.recipients.get(key).addresses]


def stored(app: App, key: str) -> Recipient:
    with app.store.read() as connection:
        return recipients.by_keys(connection, DEFAULT_ID, [key])[key]


# found


def test_everything_known_of_a_recipient_is_shown(app: App) -> None:
    notify.recipients.add({**ADA, "email": ["Ada@Example.org", "ada@work.example"], "phone": "+31 6 12345678"})
    with app.store.begin() as connection:
        left = Suppression(Channel.EMAIL, "ada@work.example", "unsubscribed", "one-click", "newsletter")
        suppressions.add(connection, DEFAULT_ID, [left], app.clock.now())
    ada = notify.recipients.get("ada")
    assert (ada.key, ada.status, ada.locale, ada.tags, ada.attributes) == (
        "ada",
        "active",
        "nl",
        ("vip",),
        {"name": "Ada"},
    )
    assert [(one.channel, one.value, one.primary, one.verified) for one in ada.addresses] == [
        ("email", "Ada@example.org", True, False),
        ("email", "ada@work.example", False, False),
        ("sms", "+31612345678", True, False),
    ]
    assert [one.suppressions for one in ada.addresses] == [(), (left,), ()]
    assert json.loads(json.dumps(ada.as_json()))["addresses"][1]["suppressions"][0]["scope"] == "newsletter"


def test_nobody_is_found_by_a_key_that_nobody_has(app: App) -> None:
    with pytest.raises(NotFound, match="no recipient 'ada' in this tenant"):
        notify.recipients.get("ada")
    for act in (lambda: notify.recipients.history("ada"), lambda: notify.recipients.set("ada", locale="nl")):
        with pytest.raises(NotFound):
            act()


def test_recipients_are_listed_by_all_that_is_said_of_them(app: App) -> None:
    notify.recipients.add(ADA)
    notify.recipients.add({"key": "bob", "phone": "+31612345678", "name": "Bob 100%", "tags": ["vip", "pilot"]})
    notify.recipients.add({"key": "eve_1", "email": "eve@example.net"})
    notify.recipients.deactivate("eve_1", reason="left")

    def keys(**wanted: Any) -> list[str]:
        return [one.key for one in notify.recipients.list(**wanted)]

    assert keys() == ["ada", "bob", "eve_1"]
    assert keys(tags=["vip"]) == ["ada", "bob"]
    assert keys(tags=["vip", "pilot"]) == ["bob"]
    assert keys(status="active") == ["ada", "bob"]
    assert keys(status="inactive") == ["eve_1"]
    assert keys(status="erased") == []
    assert keys(channel="sms") == ["bob"]
    assert keys(address="ADA@example.org") == ["ada"]
    assert keys(search="EXAMPLE.") == ["ada", "eve_1"]
    assert keys(search="100%") == ["bob"], "a sign of LIKE is no joker"
    assert keys(search="e_1") == ["eve_1"]
    assert keys(search="bob", tags=["vip"], channel="sms") == ["bob"]
    with pytest.raises(InvalidRecipient, match="unknown status 'actif'; did you mean 'active'"):
        keys(status="actif")


def test_pages_are_whole_and_stay_so_while_others_come_and_go(app: App) -> None:
    by = Author("test", Source.SEND)
    with app.store.begin() as connection:
        everyone = [Change(f"user-{n:04}", tags=("all",)) for n in range(2_345)]
        recipients.apply(connection, DEFAULT_ID, everyone, app.clock.now(), by=by)
    pages = notify.recipients.list(tags=["all"])
    seen = [next(pages).key for _ in range(10)]
    with app.store.begin() as connection:
        connection.execute(sa.delete(tables.recipients).where(tables.recipients.c.key == "user-0003"))
        recipients.apply(connection, DEFAULT_ID, [Change("user-0000-a", tags=("all",))], app.clock.now(), by=by)
    seen += [one.key for one in pages]
    assert seen == [f"user-{n:04}" for n in range(2_345)]
    assert [one.key for one in notify.recipients.list(after="user-2342")] == ["user-2343", "user-2344"]


def test_one_tenants_recipients_are_not_listed_for_another(app: App) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "lab", app.clock.now())
    notify.recipients.add(ADA)
    notify.recipients.add(ADA, tenant="lab")
    notify.recipients.set("ada", locale="fr", tenant="lab")
    assert [one.locale for one in notify.recipients.list(address="ada@example.org")] == ["nl"]
    assert [one.locale for one in notify.recipients.list(tenant="lab")] == ["fr"]


# added and changed


def test_who_is_there_already_is_not_added_again(app: App) -> None:
    notify.recipients.add(ADA)
    with pytest.raises(InvalidRecipient, match="recipient 'ada' is there already; change it"):
        notify.recipients.add({**ADA, "locale": "fr"})
    assert notify.recipients.get("ada").locale == "nl"


def test_a_change_leaves_a_row_of_history_and_one_of_audit_without_what_stands_there(app: App) -> None:
    notify.recipients.add(ADA, actor="grace")
    notify.recipients.set("ada", locale="fr", attributes={"floor": 3}, actor="grace", reason="asked by phone")
    [row] = notify.recipients.history("ada")
    assert (row.actor, row.source, row.reason) == ("grace", "python", "asked by phone")
    assert row.changes == {"locale": ("nl", "fr"), "attributes.floor": (None, 3)}
    assert audit(app) == [
        ("grace", "recipients.add", "ada", {"source": "python"}),
        (
            "grace",
            "recipients.set",
            "ada",
            {
                "fields": ["attributes.floor", "locale"],
                "follow_imports": [],
                "source": "python",
                "reason": "asked by phone",
            },
        ),
    ]


def test_what_changes_nothing_leaves_no_row(app: App) -> None:
    notify.recipients.add(ADA)
    notify.recipients.set("ada", locale="nl")
    before = notify.recipients.get("ada")
    notify.recipients.set("ada", locale="nl")
    assert notify.recipients.get("ada") == before
    assert notify.recipients.history("ada") == ()
    assert [row[1] for row in audit(app)] == ["recipients.add", "recipients.set"], "the first keeps imports off"


def test_attributes_keep_their_types(app: App) -> None:
    values = {"text": "x", "whole": 3, "part": 0.5, "yes": True, "none": None, "list": ["a", "b"], "nested": {"a": [1]}}
    notify.recipients.add({**ADA, "attributes": {**values, "day": date(2026, 5, 1)}})
    assert notify.recipients.get("ada").attributes == {**values, "name": "Ada", "day": "2026-05-01"}
    notify.recipients.set(
        "ada", attributes={"at": datetime(2026, 5, 1, 9, tzinfo=UTC)}, unset=["whole", "attributes.part"]
    )
    kept = notify.recipients.get("ada").attributes
    assert kept["at"] == "2026-05-01T09:00:00+00:00"
    assert not {"whole", "part"} & set(kept)
    assert latest("ada")["attributes.whole"] == (3, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unset": ["flor"]}, "there is no 'flor' to unset; did you mean 'floor'"),
        ({"unset": ["email"]}, "there is no 'email' to unset"),
        ({"follow_imports": ["locale"]}, "imports are not kept from changing 'locale'"),
        ({"local": "nl"}, "unknown field 'local'; did you mean 'locale'"),
        ({"data": {}}, "data is for one message; give it to send"),
        ({"locale": "xx-nowhere"}, "unknown locale"),
        ({"tag": "vip"}, "tag is a list"),
        ({"tag": ["a\nb"]}, "a tag must be one line"),
        ({"email": []}, "email is an empty list"),
        ({"email": "nowhere"}, "not an e-mail address"),
        ({"attributes": {"key": 1}}, "is a field of its own"),
    ],
)
def test_a_change_that_cannot_be_made_names_itself_and_changes_nothing(app: App, change: Any, said: str) -> None:
    notify.recipients.add({**ADA, "attributes": {"floor": 3}})
    before = notify.recipients.get("ada")
    with pytest.raises(RequestError, match=said):
        notify.recipients.set("ada", **change)
    assert notify.recipients.get("ada") == before
    assert [row[1] for row in audit(app)] == ["recipients.add"]


def test_tags_are_given_and_taken_one_by_one(app: App) -> None:
    notify.recipients.add(ADA)
    notify.recipients.set("ada", tag=["pilot", "vip"], untag=["gone"])
    assert notify.recipients.get("ada").tags == ("vip", "pilot")
    notify.recipients.set("ada", untag=["vip"])
    assert latest("ada") == {"tags": (["vip", "pilot"], ["pilot"])}


def test_whoever_is_inactive_gets_nothing_that_is_not_required_until_active_again(app: App) -> None:
    notify.recipients.add(ADA)
    notify.recipients.deactivate("ada", reason="on leave")
    since = notify.recipients.get("ada").deactivated_at
    assert notify.send("hello", "ada").messages == {"skipped": 1}
    notify.recipients.set("ada", locale="fr")
    assert notify.recipients.get("ada").deactivated_at == since
    notify.recipients.activate("ada", reason="back")
    assert notify.send("hello", "ada").messages == {"queued": 1}
    assert [dict(one.changes) for one in notify.recipients.history("ada")] == [
        {"status": ("inactive", "active")},
        {"locale": ("nl", "fr")},
        {"status": ("active", "inactive")},
    ]


def test_who_was_erased_is_changed_no_more(app: App) -> None:
    notify.recipients.add(ADA)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.recipients).values(erased_at=app.clock.now()))
    with pytest.raises(InvalidRecipient, match="was erased"):
        notify.recipients.set("ada", locale="fr")
    assert list(notify.recipients.list()) == []
    assert [one.key for one in notify.recipients.list(status="erased")] == ["ada"]


# addresses


def test_a_recipient_has_several_addresses_of_which_one_is_written_to(app: App) -> None:
    notify.recipients.add(ADA)
    notify.recipients.add_address("ada", "email", "ada@work.example")
    notify.recipients.add_address("ada", "email", "ADA@work.example")
    notify.recipients.add_address("ada", "sms", "+31612345678")
    assert addresses("ada") == [
        ("email", "Ada@example.org", True),
        ("email", "ada@work.example", False),
        ("sms", "+31612345678", True),
    ]
    assert stored(app, "ada").addresses[Channel.EMAIL].value == "Ada@example.org"
    notify.recipients.make_primary("ada", "email", "ADA@WORK.example")
    assert stored(app, "ada").addresses[Channel.EMAIL].value == "ada@work.example"
    assert latest("ada") == {
        "email": ("Ada@example.org", "ada@work.example"),
        "email.others": (["ada@work.example"], ["Ada@example.org"]),
    }
    notify.recipients.remove_address("ada", "email", "ada@example.org")
    assert addresses("ada")[:1] == [("email", "ada@work.example", True)]


def test_an_address_stays_verified_when_it_becomes_the_primary_one_and_a_new_one_is_not(app: App) -> None:
    notify.recipients.add({**ADA, "email": ["ada@example.org", "ada@work.example"]})
    with app.store.begin() as connection:
        rows = tables.addresses
        connection.execute(sa.update(rows).where(rows.c.value == "ada@work.example").values(verified=True))
    notify.recipients.make_primary("ada", "email", "ada@work.example")
    assert stored(app, "ada").addresses[Channel.EMAIL].verified
    notify.send("hello", {"key": "ada", "email": "ada@new.example"})
    assert not stored(app, "ada").addresses[Channel.EMAIL].verified
    assert [one[1] for one in addresses("ada")] == ["ada@new.example", "ada@example.org"]


def test_the_primary_address_goes_last(app: App) -> None:
    notify.recipients.add({**ADA, "email": ["ada@example.org", "ada@work.example"]})
    with pytest.raises(InvalidRecipient, match="is the primary address of email; make another one the primary first"):
        notify.recipients.remove_address("ada", "email", "ada@example.org")
    with pytest.raises(
        InvalidRecipient, match=r"has no email address 'x@example\.org'; theirs: ada@example\.org, ada@"
    ):
        notify.recipients.remove_address("ada", "email", "x@example.org")
    notify.recipients.remove_address("ada", "email", "ada@work.example")
    notify.recipients.remove_address("ada", "email", "ada@example.org")
    assert addresses("ada") == []
    assert latest("ada") == {"email": ("ada@example.org", None)}


def test_nobody_gets_anothers_address_by_hand(app: App) -> None:
    notify.recipients.add({**ADA, "email": ["ada@example.org", "ada@work.example"]})
    notify.recipients.add({"key": "bob"})
    acts: tuple[Callable[[], object], ...] = (
        lambda: notify.recipients.set("bob", email="ADA@work.example"),
        lambda: notify.recipients.add_address("bob", "email", "ada@work.example"),
        lambda: notify.recipients.add({"key": "eve", "email": "ada@work.example"}),
        lambda: notify.recipients.add({"key": "eve", "email": ["eve@example.org", "ada@example.org"]}),
    )
    for act in acts:
        with pytest.raises(AddressTaken, match="recipient 'ada' already"):
            act()
    assert addresses("bob") == []
    assert [one.key for one in notify.recipients.list()] == ["ada", "bob"]


def test_what_is_refused_in_an_applications_transaction_leaves_nothing_for_its_commit(app: App) -> None:
    notify.recipients.add(ADA)
    engine = sa.create_engine(app.store.engine.url)  # as an application has it, and not as ours
    with Session(engine) as session:
        with pytest.raises(AddressTaken):
            notify.send_many(
                "hello",
                [{"key": "eve", "locale": "en"}, {"key": "bob", "email": "ada@example.org"}],
                key="once",
                session=session,
            )
        notify.send("hello", {"key": "kim", "email": "kim@example.org"}, session=session)
        session.commit()
    engine.dispose()
    assert [one.key for one in notify.recipients.list()] == ["ada", "kim"]
    with app.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.notifications)) == 1


# phone numbers


@pytest.mark.parametrize(
    ("given", "region", "normal"),
    [
        ("+31 6 12345678", None, "+31612345678"),
        ("+31 (0)6-1234 5678", None, "+31612345678"),
        ("06 12345678", "NL", "+31612345678"),
        ("0031612345678", "NL", "+31612345678"),
        ("+420 601 123 456", "NL", "+420601123456"),
    ],
)
def test_a_phone_number_is_kept_in_one_form(given: str, region: str | None, normal: str) -> None:
    assert number.parse(given, region=region) == normal


@pytest.mark.parametrize(
    ("given", "region", "said"),
    [
        ("06 12345678", None, "does not say of which country it is: begin with .* or set NOTIFY_PHONE_REGION"),
        ("+999 123", None, "is no phone number"),
        ("+31 6 123", None, "is no phone number that is in use"),
        ("call me", "NL", "is no phone number"),
        ("+31 6 12345678 ext. 5", None, "has an extension"),
        (31612345678, None, "must be text, not int"),
        ("9" * 1000, "NL", "is no phone number"),
    ],
)
def test_what_is_no_phone_number_is_refused_with_what_to_write(given: Any, region: str | None, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said):
        number.parse(given, region=region)


def test_a_phone_number_in_a_description_is_stored_for_text_messages(app: App, make_app: Callable[..., App]) -> None:
    notify.send("hello", {**ADA, "phone": "+31 6 1234 5678"})
    assert stored(app, "ada").addresses[Channel.SMS].value == "+31612345678"
    with pytest.raises(InvalidAddress, match="recipient 'bob': '06 12345678' does not say of which country"):
        notify.send("hello", {"key": "bob", "phone": "06 12345678"})
    with pytest.raises(AddressTaken, match="is the sms address of recipient 'ada'"):
        notify.send("hello", {"key": "bob", "phone": "+31612345678"})


# imports and descriptions


def roster(app: App, tmp_path: Path, row: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(f"key,email,locale,company,tags\n{row}\n", encoding="utf-8")
    import_roster(app, path, actor="cron")


def test_an_import_leaves_what_was_set_by_hand_until_it_is_told_to_follow_again(app: App, tmp_path: Path) -> None:
    roster(app, tmp_path, "ada,ada@example.org,en,Example,vip")
    notify.recipients.set("ada", locale="nl", email="ada@new.example", attributes={"company": "New"}, tag=["pilot"])
    assert notify.recipients.get("ada").overrides == ("attributes.company", "email", "locale", "tags")
    mine = notify.recipients.get("ada")
    roster(app, tmp_path, "ada,ada@example.org,fr,Example,other")
    assert notify.recipients.get("ada") == mine
    assert len(notify.recipients.history("ada")) == 1
    notify.recipients.set("ada", follow_imports=["locale", "company"])
    roster(app, tmp_path, "ada,ada@example.org,fr,Example,other")
    ada = notify.recipients.get("ada")
    assert (ada.locale, ada.attributes["company"], ada.tags) == ("fr", "Example", ("vip", "pilot"))
    [row, _] = notify.recipients.history("ada")
    assert (row.source, row.actor) == ("import", "cron")
    assert row.changes == {"locale": ("nl", "fr"), "attributes.company": ("New", "Example")}


def test_an_import_brings_nobody_back(app: App) -> None:
    notify.recipients.add(ADA)
    now = app.clock.now()

    def say(active: bool, source: Source) -> None:
        with app.store.begin() as connection:
            recipients.apply(connection, DEFAULT_ID, [Change("ada", active=active)], now, by=Author("x", source))

    say(False, Source.IMPORT)
    assert notify.recipients.get("ada").status == "inactive"
    say(True, Source.IMPORT)
    assert notify.recipients.get("ada").status == "inactive"
    say(True, Source.SEND)
    notify.recipients.deactivate("ada", reason="on leave")
    notify.recipients.activate("ada", reason="back")
    say(False, Source.IMPORT)
    assert notify.recipients.get("ada").status == "active", "an operator said so"


def test_a_description_that_changes_somebody_leaves_a_row_of_history(app: App) -> None:
    notify.send("hello", {"key": "ada", "email": "ada@example.org", "locale": "nl"})
    notify.send("hello", {"key": "ada", "email": "ada@example.org", "locale": "nl"})
    assert notify.recipients.history("ada") == ()
    notify.send("hello", {"key": "ada", "email": "ada@example.net", "timezone": "Europe/Prague", "tags": ["x"]})
    [row] = notify.recipients.history("ada")
    assert (row.actor, row.source, row.reason) == ("application", "send", None)
    assert row.changes == {
        "email": ("ada@example.org", "ada@example.net"),
        "timezone": (None, "Europe/Prague"),
        "tags": ([], ["x"]),
    }


# what the person chose


def test_what_the_person_chose_beats_what_send_says_of_them(app: App) -> None:
    mine = Author("recipient:ada", Source.PAGE)
    notify.recipients.add({"key": "ada", "email": "ada@example.org", "locale": "en", "timezone": "UTC"})
    store.edit(app, "ada", Edit(said={"locale": "nl"}), by=mine)
    new = (Channel.EMAIL, "new@example.org")
    store.edit(app, "ada", Edit(added=(new,), primary=(new,)), by=mine)
    store.remove_address(app, "ada", Channel.EMAIL, "ada@example.org", by=mine)
    said = {"key": "ada", "email": "ada@example.org", "locale": "en", "timezone": "Europe/Amsterdam", "name": "Ada"}
    notify.send("hello", said)
    found = notify.recipients.get("ada")
    assert (found.locale, found.timezone, found.attributes) == ("nl", "Europe/Amsterdam", {"name": "Ada"})
    assert [one.value for one in found.addresses] == ["new@example.org"]
    with app.store.read() as connection:
        assert list(connection.scalars(sa.select(tables.messages.c.address))) == ["new@example.org"]


def test_a_correction_by_hand_gives_what_the_person_chose_back_to_send(app: App) -> None:
    notify.recipients.add({"key": "ada", "email": "ada@example.org", "locale": "en"})
    store.edit(app, "ada", Edit(said={"locale": "nl"}), by=Author("recipient:ada", Source.PAGE))
    assert notify.recipients.get("ada").overrides == ("locale", "own:locale")
    notify.recipients.set("ada", locale="fr", reason="asked by phone")
    assert notify.recipients.get("ada").overrides == ("locale",)
    notify.send("hello", {"key": "ada", "locale": "en"})
    assert notify.recipients.get("ada").locale == "en"
