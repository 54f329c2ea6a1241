"""The log of consent: what was agreed to, when, in which words; nothing of it can be changed without being seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

import notify
from notify.app import App, using
from notify.audience import confirming, consent, links, verification
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidChoice, InvalidRecipient, InvalidSettings, NotFound
from notify.model import Author, Channel, ConsentAction, MessageState, Source, Suppression
from notify.settings import Settings
from notify.store import messages, recipient_history, suppressions, tables
from notify.store.tenants import DEFAULT_ID
from notify.testing import capture
from tests.drain import drain
from tests.integration.test_preferences import outcome
from tests.kinds import make_kind
from tests.mails import all_in

ADA = {"key": "ada", "email": "Ada@example.org"}
BY = Author("test", Source.PYTHON)
WORDS = "Send me tests, once a day."
PROOF = {"ip": "192.0.2.7", "user_agent": "Mail/1.0"}


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates, "hello")
    make_kind(templates, "tests", toml="consent = true")


@pytest.fixture
def app(settings: Settings, make_app: Callable[..., App]) -> Any:
    opened = make_app(settings, public_url="https://notify.example.org")
    opened.redis.flushall()
    with using(opened):
        notify.send("welcome", ADA)
        drain(opened)
        yield opened


def ada(app: App) -> UUID:
    with app.store.read() as connection:
        found: UUID = connection.execute(sa.select(tables.recipients.c.id)).scalar_one()
    return found


def grant(key: str = "ada") -> Any:
    return notify.consent.grant(key, "test", wording=WORDS, source="sign-up form", proof=PROOF)


def link(mailbox: Mailbox) -> str:
    """The link of the mail that came last."""
    *_, mail = all_in(mailbox.folder)
    part = mail.get_body(("plain",))
    assert part is not None
    found = re.search(r"https://notify\.example\.org/\S+", part.get_content())
    assert found is not None
    return found[0]


def named(app: App, url: str) -> tuple[UUID, ...]:
    """What the link names."""
    purpose, token = re.findall(r"org/(\w+)\?token=(.*)", url)[0]
    ids = links.verify(app, purpose, token)
    assert ids is not None
    return ids


# kinds that ask for consent


def test_a_kind_that_asks_for_consent_goes_to_nobody_who_never_agreed(app: App) -> None:
    assert outcome("tests", app) == "no_consent"
    assert outcome("hello", app) == "sent"


def test_each_message_points_to_the_consent_that_covered_it(app: App) -> None:
    agreed = grant()
    sent = notify.send("tests", "ada")
    other = notify.send("hello", "ada")
    drain(app)
    with app.store.read() as connection:
        (covered,) = messages.listing(connection, DEFAULT_ID, notification_id=sent.id)
        (uncovered,) = messages.listing(connection, DEFAULT_ID, notification_id=other.id)
    assert (covered.message.state, covered.message.consent_id) == (MessageState.SENT, agreed.id)
    assert (uncovered.message.state, uncovered.message.consent_id) == (MessageState.SENT, None)


def test_consent_that_is_withdrawn_after_the_planning_counts_when_it_is_sent(app: App, mailbox: Mailbox) -> None:
    grant()
    before = mailbox.count
    notify.send("tests", "ada")
    notify.consent.withdraw("ada", "test")
    drain(app)
    with app.store.read() as connection:
        newest = messages.listing(connection, DEFAULT_ID, limit=1)[0].message
    assert (newest.reason, mailbox.count) == ("no_consent", before)


def test_being_asked_is_no_consent_and_takes_none_away(app: App) -> None:
    notify.consent.ask("ada", "test", wording=WORDS)
    assert outcome("tests", app) == "no_consent"
    agreed = grant()
    assert notify.consent.ask("ada", "test", wording=WORDS) == notify.consent.state("ada")["test"]
    assert outcome("tests", app) == "sent"
    assert notify.consent.state("ada")["test"].id == agreed.id


def test_many_recipients_are_asked_about_in_one_statement(app: App) -> None:
    people = [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(50)]
    notify.send_many("hello", people)
    grant("u7")
    seen: list[str] = []
    listener = lambda *args: seen.append(args[2])  # noqa: E731
    sa.event.listen(app.store.engine, "before_cursor_execute", listener)
    sent = notify.send_many("tests", [one["key"] for one in people])
    sa.event.remove(app.store.engine, "before_cursor_execute", listener)
    assert sent.messages == {"queued": 1, "skipped": 49}
    assert len([statement for statement in seen if "FROM consents" in statement]) == 1


# the log


def test_the_log_holds_what_was_said_and_what_shows_it(app: App) -> None:
    grant()
    notify.consent.withdraw("ada", "test", source="phone call")
    first, second = notify.consent.log("ada")
    assert (first.entry.action, first.entry.source, first.entry.wording) == ("granted", "sign-up form", WORDS)
    assert first.entry.proof is not None
    assert {name: first.entry.proof[name] for name in PROOF} == PROOF
    assert (second.number, second.entry.action, second.entry.source) == (2, "withdrawn", "phone call")
    assert second.previous == first.digest


def test_there_is_nothing_to_withdraw_where_nobody_agreed(app: App) -> None:
    assert notify.consent.withdraw("ada", "test") is None
    grant()
    assert notify.consent.withdraw("ada", "test") is not None
    assert notify.consent.withdraw("ada", "test") is None
    assert len(notify.consent.log()) == 2


def test_each_entry_leaves_a_row_of_history_and_one_of_audit(app: App) -> None:
    consent.grant(app, "ada", "test", wording=WORDS, source="form", by=Author("cli:eve", Source.CLI, "on paper"))
    with app.store.read() as connection:
        newest = recipient_history.read(connection, ada(app), limit=1)[0]
        row = connection.execute(sa.select(tables.audit)).one()
    assert (newest.actor, newest.reason, newest.changes) == (
        "cli:eve",
        "on paper",
        {"consent.test": (None, "granted")},
    )
    assert (row.action, row.subject, row.detail) == (
        "consent.granted",
        str(ada(app)),
        {"category": "test", "number": 1},
    )


def test_the_application_says_on_whose_behalf_it_notes_a_consent(app: App) -> None:
    notify.consent.grant("ada", "test", wording=WORDS, actor="support:eve")
    with app.store.read() as connection:
        assert recipient_history.read(connection, ada(app), limit=1)[0].actor == "support:eve"


@pytest.mark.parametrize("wording", ["", "  ", "x" * 10_001, 7])
def test_a_wording_that_nobody_can_have_read_is_refused(app: App, wording: Any) -> None:
    with pytest.raises(InvalidChoice, match="the wording of a consent is what the recipient read"):
        notify.consent.grant("ada", "test", wording=wording)


def test_what_cannot_be_logged_is_refused_by_name(app: App) -> None:
    with pytest.raises(InvalidChoice, match="did you mean 'test'"):
        notify.consent.grant("ada", "tets", wording=WORDS)
    with pytest.raises(InvalidChoice, match="a proof holds texts by name"):
        notify.consent.grant("ada", "test", wording=WORDS, proof={"ip": 7})  # type: ignore[dict-item]
    with pytest.raises(NotFound):
        notify.consent.grant("nobody", "test", wording=WORDS)
    assert notify.consent.log() == []


def test_a_chain_that_nobody_touched_holds_and_so_does_an_empty_one(app: App) -> None:
    assert notify.consent.verify_chain() == consent.Chain(0, "0" * 64, ())
    for _ in range(3):
        grant()
        notify.consent.withdraw("ada", "test")
    chain = notify.consent.verify_chain()
    assert (chain.entries, chain.faults) == (6, ())
    assert chain.head == notify.consent.log()[-1].digest


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"wording": "Sell my data."}, (2, "was changed after it was written")),
        ({"action": "granted"}, (2, "was changed after it was written")),
        ({"category": "hello"}, (2, "was changed after it was written")),
        ({"recipient_id": UUID(int=7)}, (2, "was changed after it was written")),
        ({"proof": {"ip": "192.0.2.9"}}, (2, "its proof was changed after it was written")),
        ({"digest": "0" * 64}, (2, "was changed after it was written")),
    ],
)
def test_whatever_is_changed_is_named(app: App, change: dict[str, Any], fault: tuple[int, str]) -> None:
    for _ in range(2):
        grant()
        notify.consent.withdraw("ada", "test", proof=PROOF)
    with app.store.begin() as connection:
        connection.execute(sa.update(tables.consents).where(tables.consents.c.number == 2).values(**change))
    assert fault in notify.consent.verify_chain().faults


def test_an_entry_that_was_taken_out_is_missed(app: App) -> None:
    for _ in range(3):
        grant()
    with app.store.begin() as connection:
        connection.execute(sa.delete(tables.consents).where(tables.consents.c.number == 2))
    assert notify.consent.verify_chain().faults == ((3, "1 entries before it are missing"),)


def test_the_chain_holds_when_the_proofs_of_a_person_are_gone(app: App) -> None:
    grant()
    notify.privacy.erase("ada", "asked by mail")
    assert [one.entry.proof for one in notify.consent.log()] == [None]
    assert notify.consent.verify_chain().faults == ()


def test_equal_proofs_have_different_digests_so_that_nobody_can_guess_what_is_gone(app: App) -> None:
    assert grant() != grant()
    first, second = notify.consent.log()
    assert first.proof_digest != second.proof_digest


def test_many_who_write_at_once_make_one_chain(app: App) -> None:
    people = [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(24)]
    notify.send_many("hello", people)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(grant, [one["key"] for one in people]))
    chain = notify.consent.verify_chain()
    assert (chain.entries, chain.faults) == (24, ())


def test_each_tenant_has_a_chain_of_its_own(app: App) -> None:
    from notify.store import tenants

    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    notify.send("hello", {"key": "bob", "email": "bob@example.org"}, tenant="acme")
    grant()
    notify.consent.grant("bob", "test", wording=WORDS, tenant="acme")
    assert [one.number for one in notify.consent.log(tenant="acme")] == [1]
    assert notify.consent.verify_chain(tenant="acme").entries == notify.consent.verify_chain().entries == 1


# double opt-in


def test_a_link_in_a_mail_turns_what_was_asked_into_consent(app: App, mailbox: Mailbox) -> None:
    asked = notify.consent.ask("ada", "test", wording=WORDS, source="sign-up form")
    drain(app)
    (named_id,) = named(app, link(mailbox))
    assert (asked.action, named_id) == (ConsentAction.ASKED, asked.id)
    shown = confirming.pending(app, named_id)
    assert shown is not None
    assert (shown.category, shown.wording, shown.granted) == ("test", WORDS, False)
    granted = confirming.confirm(app, named_id, PROOF)
    assert granted is not None
    assert (granted.action, granted.wording, granted.source) == ("granted", WORDS, "confirmation link")
    assert granted.proof is not None
    assert (granted.proof["ip"], granted.proof["asked"]) == ("192.0.2.7", str(asked.id))
    assert outcome("tests", app) == "sent"


def test_the_mail_is_in_the_recipients_language_and_says_what_is_agreed_to(app: App, mailbox: Mailbox) -> None:
    notify.send("hello", {**ADA, "locale": "nl"})
    notify.consent.ask("ada", "test", wording="Stuur mij tests.")
    drain(app)
    mail = all_in(mailbox.folder)[-1]
    part = mail.get_body(("plain",))
    assert part is not None
    assert mail["Subject"] == "Bevestig je aanmelding: test"
    assert "Stuur mij tests." in part.get_content()


def test_a_confirmation_counts_once(app: App) -> None:
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    first = confirming.confirm(app, asked.id, PROOF)
    again = confirming.confirm(app, asked.id, {"ip": "192.0.2.99"})
    assert first is not None
    assert again is not None
    assert first.id == again.id
    assert [one.entry.action for one in notify.consent.log()] == ["asked", "granted"]


def test_two_confirmations_at_once_count_once(app: App) -> None:
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: confirming.confirm(app, asked.id, PROOF), range(4)))
    assert len({one.id for one in made if one}) == 1
    assert len(notify.consent.log()) == 2


def test_a_link_from_before_a_withdrawal_confirms_nothing(app: App) -> None:
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    notify.consent.withdraw("ada", "test")
    assert confirming.pending(app, asked.id) is None
    assert confirming.confirm(app, asked.id, PROOF) is None
    assert outcome("tests", app) == "no_consent"


def test_who_withdrew_can_be_asked_and_agree_again(app: App) -> None:
    grant()
    notify.consent.withdraw("ada", "test")
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    assert asked.action is ConsentAction.ASKED
    assert confirming.confirm(app, asked.id, PROOF) is not None
    assert outcome("tests", app) == "sent"


def test_an_entry_that_asked_for_nothing_confirms_nothing(app: App) -> None:
    agreed = grant()
    for one in (agreed.id, uuid7()):
        assert confirming.pending(app, one) is None
        assert confirming.confirm(app, one, PROOF) is None


def test_a_link_works_for_a_week(settings: Settings) -> None:
    with capture(settings.model_copy(update={"public_url": "https://notify.example.org"})) as outbox:
        notify.send("welcome", ADA)
        notify.consent.ask("ada", "test", wording=WORDS)
        outbox.assert_sent("confirm-subscription", "ada", times=1)
        url = outbox.sent("confirm-subscription")[0].data["confirm_url"]
        purpose, token = re.findall(r"org/(\w+)\?token=(.*)", url)[0]
        app = outbox._app
        assert app is not None
        outbox.advance(timedelta(days=6, hours=23))
        assert links.verify(app, purpose, token) is not None
        outbox.advance(timedelta(hours=1))
        assert links.verify(app, purpose, token) is None


def test_who_says_yes_takes_back_an_earlier_no_to_this_category_alone(app: App) -> None:
    rows = [
        Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "page", "test"),
        Suppression(Channel.EMAIL, "ada@example.org", "unsubscribed", "page", "jobs"),
    ]
    with app.store.begin() as connection:
        suppressions.add(connection, DEFAULT_ID, rows, app.clock.now())
    notify.preferences.set("ada", "test", "email", False)
    notify.preferences.set("ada", "jobs", "email", False)
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    assert outcome("tests", app) == "suppressed"
    confirming.confirm(app, asked.id, PROOF)
    assert outcome("tests", app) == "sent"
    with app.store.read() as connection:
        left = suppressions.of_addresses(connection, DEFAULT_ID, Channel.EMAIL, ["ada@example.org"], ())
    assert [row.scope for row in left["ada@example.org"]] == ["jobs"]
    rows_of = {row.category.name: row.cells[Channel.EMAIL].chosen for row in notify.preferences.get("ada").rows}
    assert (rows_of["test"], rows_of["jobs"]) == (None, False)


def test_a_yes_lifts_no_complaint_and_no_bounce(app: App) -> None:
    row = Suppression(Channel.EMAIL, "ada@example.org", "complained", "feedback", "test")
    with app.store.begin() as connection:
        suppressions.add(connection, DEFAULT_ID, [row], app.clock.now())
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    confirming.confirm(app, asked.id, PROOF)
    assert outcome("tests", app) == "suppressed"


def test_who_cannot_be_asked_is_named_and_nothing_is_logged(app: App, make_app: Callable[..., App]) -> None:
    notify.send("hello", {"key": "bob", "name": "Bob"})
    with pytest.raises(InvalidRecipient, match="'bob' has no e-mail address to send a link to"):
        notify.consent.ask("bob", "test", wording=WORDS)
    with using(make_app(app.settings, public_url=None)), pytest.raises(InvalidSettings, match="NOTIFY_PUBLIC_URL"):
        notify.consent.ask("ada", "test", wording=WORDS)
    assert notify.consent.log() == []


# verification


def verified(app: App) -> bool:
    with app.store.read() as connection:
        row = connection.execute(sa.select(tables.addresses)).one()
    assert (row.verified_at is not None) == row.verified
    return bool(row.verified)


def test_a_link_that_comes_back_verifies_the_address_it_went_to(app: App, mailbox: Mailbox) -> None:
    assert notify.verification.ask("ada") is not None
    drain(app)
    [address] = named(app, link(mailbox))
    shown = verification.pending(app, address)
    assert shown is not None
    assert (shown.value, verified(app)) == ("Ada@example.org", False)
    assert verification.confirm(app, address)
    assert verification.confirm(app, address)
    assert verified(app)
    assert notify.verification.ask("ada") is None
    with app.store.read() as connection:
        newest = recipient_history.read(connection, ada(app), limit=5)
    assert [one.changes for one in newest if "verified.email" in one.changes] == [{"verified.email": (False, True)}]


def test_a_link_verifies_nothing_once_the_address_is_another(app: App, mailbox: Mailbox) -> None:
    notify.verification.ask("ada")
    drain(app)
    [address] = named(app, link(mailbox))
    notify.send("hello", {"key": "ada", "email": "ada@example.net"})
    assert verification.pending(app, address) is None
    assert not verification.confirm(app, address)
    assert not verified(app)


def test_an_address_that_is_not_the_primary_one_is_written_to_for_its_verification(app: App, mailbox: Mailbox) -> None:
    with app.store.begin() as connection:
        row = {"id": uuid7(), "tenant_id": DEFAULT_ID, "recipient_id": ada(app), "channel": "email"}
        at = {"value": "ada@example.com", "folded": "ada@example.com", "created_at": app.clock.now()}
        connection.execute(sa.insert(tables.addresses), {**row, **at, "verified": False, "is_primary": False})
    notify.verification.ask("ada", address="ADA@example.com")
    drain(app)
    assert all_in(mailbox.folder)[-1]["To"] == "ada@example.com"
    assert verification.confirm(app, *named(app, link(mailbox)))
    with app.store.read() as connection:
        chosen = sa.select(tables.addresses.c.value).where(tables.addresses.c.verified)
        assert list(connection.scalars(chosen)) == ["ada@example.com"]
    with pytest.raises(InvalidRecipient, match="has no such e-mail address"):
        notify.verification.ask("ada", address="eve@example.com")


def test_a_confirmed_subscription_verifies_the_address_that_was_asked(app: App) -> None:
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    confirming.confirm(app, asked.id, PROOF)
    assert verified(app)


def test_a_confirmed_subscription_does_not_verify_an_address_that_came_later(app: App) -> None:
    asked = notify.consent.ask("ada", "test", wording=WORDS)
    notify.send("hello", {"key": "ada", "email": "ada@example.net"})
    assert confirming.confirm(app, asked.id, PROOF) is not None
    assert not verified(app)


def test_the_confirming_mails_go_to_unverified_addresses_and_past_a_pause(
    settings: Settings, make_app: Callable[..., App]
) -> None:
    strict = make_app(settings, require_verified=True, public_url="https://notify.example.org")
    strict.redis.flushall()
    with using(strict):
        notify.send("welcome", ADA)
        notify.preferences.pause("ada")
        notify.consent.ask("ada", "test", wording=WORDS)
        notify.verification.ask("ada")
        drain(strict)
        with strict.store.read() as connection:
            rows = messages.listing(connection, DEFAULT_ID, states=[MessageState.SENT])
    assert {row.kind for row in rows} >= {"confirm-subscription", "verify-address"}
