"""What a mail that came back means: whose it is, what is recorded of it, and what follows, on both databases."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

import notify
from notify import alerts
from notify.app import App
from notify.audience import suppressing
from notify.channels.email import verp
from notify.errors import NotFound
from notify.feedback import incoming as taking
from notify.feedback import unmatched
from notify.feedback.incoming import Mail, Taken, take, take_again
from notify.feedback.judging import Judged, Opened, judge
from notify.intake import explain
from notify.model import Checkpoint, Effect, EventType, IncomingKind, IncomingState, MessageState
from notify.store import Connection, incoming, messages, tables, tenants
from notify.store.incoming import Incoming
from notify.store.tenants import DEFAULT_ID
from notify.telemetry import Facts, subscribed
from notify.testing import MovableClock
from tests import answers
from tests.answers import ours
from tests.drain import drain
from tests.kinds import make_kind

ADA = {"key": "ada", "email": "Ada@Example.org"}
BOX = "imaps://bounces@mail.example.org:993/INBOX"
VERP = "bounces+{token}@mail.example.org"


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)
    make_kind(templates, "talk", toml="keep_replies = true")


@pytest.fixture
def clock(app: App) -> MovableClock:
    clock = MovableClock(app.clock.now())
    object.__setattr__(app, "clock", clock)
    return clock


def sent(app: App, kind: str = "hello", to: dict[str, str] | None = None) -> UUID:
    """The id of a message that a provider took."""
    note = notify.send(kind, to or ADA)
    drain(app)
    with app.store.read() as connection:
        [one] = messages.listing(connection, DEFAULT_ID, notification_id=note.id)
    assert one.message.state is MessageState.SENT
    return one.message.id


def state(app: App, message: UUID) -> MessageState:
    with app.store.read() as connection:
        found = messages.find(connection, message)
    assert found is not None
    return found.state


def arrives(app: App, *octets: bytes, mailbox: str = BOX, to: str | None = None) -> Taken:
    now = app.clock.now()
    return take(app, mailbox, [Mail(one, len(one), now, envelope_to=to) for one in octets])


def kept(app: App) -> Incoming:
    with app.store.read() as connection:
        [id_] = connection.scalars(sa.select(tables.incoming_mails.c.id)).all()
        found = incoming.get(connection, id_)
    assert found is not None
    return found


def standing(app: App, address: str = "ada@example.org") -> list[tuple[str, str]]:
    return [(one.suppression.scope, one.suppression.reason) for one in suppressing.show(app, address).suppressions]


def events(app: App) -> list[tuple[str, UUID | None]]:
    chosen = sa.select(tables.events.c.type, tables.events.c.message_id).order_by(tables.events.c.id)
    with app.store.read() as connection:
        return [(row.type, row.message_id) for row in connection.execute(chosen)]


# whose mail it is


def change(app: App, **settings: object) -> None:
    object.__setattr__(app, "settings", app.settings.model_copy(update=settings))


@pytest.fixture
def signed(app: App) -> App:
    """With a return path for each message."""
    change(app, return_path=VERP)
    return app


def test_a_report_to_a_signed_return_path_is_of_its_message(signed: App) -> None:
    app = signed
    first, last = sent(app), sent(app)
    path = verp.return_path(app.settings, first)
    for octets, to in ((answers.dsn("x@elsewhere.example", to=path.upper()), None), (answers.dsn("y@z.example"), path)):
        arrives(app, octets, to=to)
    assert (state(app, first), state(app, last)) == (MessageState.BOUNCED, MessageState.SENT)
    assert standing(app) == [("all", "bounced")]


@pytest.mark.parametrize("form", [answers.dsn, answers.prose])
def test_a_report_that_returns_our_message_id_is_of_that_message(app: App, form: Callable[..., bytes]) -> None:
    first, last = sent(app), sent(app)
    taken = arrives(app, form("ada@example.org", header_id=ours(first)))
    assert (taken.kinds, taken.states) == ({IncomingKind.BOUNCE: 1}, {IncomingState.MATCHED: 1})
    assert taken.effects == {Effect.SUPPRESSED: 1}
    assert (state(app, first), state(app, last)) == (MessageState.BOUNCED, MessageState.SENT)
    assert kept(app).message_id == first
    assert kept(app).body is None


def test_a_report_that_names_only_an_address_is_of_the_last_message_to_it(app: App) -> None:
    first, last = sent(app), sent(app)
    arrives(app, answers.dsn("ADA@example.org"))
    assert (state(app, first), state(app, last)) == (MessageState.SENT, MessageState.BOUNCED)
    assert standing(app) == [("all", "bounced")]


def test_an_old_report_is_not_of_a_message_that_was_sent_after_it(app: App, clock: MovableClock) -> None:
    clock.move(timedelta(days=30))
    message, octets = sent(app), answers.dsn("ada@example.org")
    take(app, BOX, [Mail(octets, len(octets), clock.now() - timedelta(days=20))])
    assert state(app, message) is MessageState.SENT
    assert standing(app) == []
    assert kept(app).reason == "unknown_recipient"


def test_a_forged_token_is_rejected_by_name_and_nothing_follows(signed: App) -> None:
    app = signed
    message = sent(app)
    path = verp.return_path(app.settings, message)
    token = path[8 : path.index("@")]
    forged = path.replace(token, token[:-20] + token[-20:][::-1])
    taken = arrives(app, answers.dsn("ada@example.org", to=forged, header_id=ours(message)))
    assert taken.states == {IncomingState.REJECTED: 1}
    assert (kept(app).reason, kept(app).body is not None) == ("forged_token", True)
    assert (state(app, message), standing(app), events(app)) == (MessageState.SENT, [], [])


@pytest.mark.parametrize("form", [answers.dsn, answers.complaint])
def test_where_return_paths_are_signed_an_address_alone_suppresses_nobody(
    signed: App, form: Callable[..., bytes]
) -> None:
    app = signed
    message = sent(app)
    assert arrives(app, form("ada@example.org"), to="notify@example.org").states == {IncomingState.UNMATCHED: 1}
    assert (kept(app).reason, kept(app).message_id) == ("unproven", None)
    assert (state(app, message), standing(app), events(app)) == (MessageState.SENT, [], [])
    unmatched.attach(app, kept(app).id, actor="operator", recipient="ada")
    assert len(standing(app)) == 1, "an operator may know better"


def test_where_return_paths_are_signed_what_moves_a_message_is_proven_too(signed: App) -> None:
    app = signed
    message = sent(app)
    arrives(app, answers.dsn("ada@example.org", said=answers.SOFT, action="delayed"))
    assert (kept(app).state, events(app)) == (IncomingState.IGNORED, [])
    arrives(app, answers.dsn("ada@example.org", header_id=ours(message)))
    assert state(app, message) is MessageState.BOUNCED


def test_of_junk_little_is_kept_and_less_when_there_is_much(
    app: App, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "REJECTED_BODIES", 3)
    junk = [b"\r\nno header %d" % number + b"x" * 100_000 for number in range(7)]
    arrives(app, *junk[:2])
    arrives(app, *junk[2:5])
    assert lengths(app) == [None, None, *[taking.REJECTED_OCTETS] * 3]
    clock.move(timedelta(days=1))
    arrives(app, *junk[5:], answers.dsn("nobody@example.org"))
    assert lengths(app)[:5] == [None, None, *[taking.REJECTED_OCTETS] * 3]
    assert lengths(app)[5:7] == [taking.REJECTED_OCTETS] * 2
    assert lengths(app)[7] == len(answers.dsn("nobody@example.org"))


def lengths(app: App) -> list[int | None]:
    """How much is kept of each body, by day; on each the shortest first."""
    of = tables.incoming_mails.c
    with app.store.read() as connection:
        found = connection.execute(sa.select(of.received_at, of.state, of.body)).all()
    known = [(at, state == IncomingState.UNMATCHED, body and len(body)) for at, state, body in found]
    return [length for *_, length in sorted(known, key=lambda one: (one[0], one[1], one[2] or 0))]


def test_reports_of_nobodys_messages_are_one_line_of_the_log(app: App) -> None:
    told: list[tuple[str, dict[str, object]]] = []
    with subscribed(lambda event, facts: told.append((event, dict(facts)))):
        named = answers.dsn("ada@example.org", header_id=ours(uuid4()))
        arrives(app, *(answers.dsn(f"nobody-{number}@example.org") for number in range(3)), named, b"\r\nno header")
    lines = {event: {name: facts[name] for name in facts if name != "level"} for event, facts in told}
    assert lines == {
        "mail.unmatched": {"mails": 4, "unknown_recipient": 3, "no_message": 1},
        "mail.rejected": {"mails": 1, "unreadable": 1},
    }
    assert len(told) == len(lines)


def test_a_token_of_an_old_secret_names_its_message_still(signed: App) -> None:
    app = signed
    message = sent(app)
    path = verp.return_path(app.settings, message)
    secret = app.settings.secret_key
    change(app, secret_key=type(secret)("n" * 40), old_secret_keys=(secret,))
    arrives(app, answers.dsn("ada@example.org", to=path))
    assert state(app, message) is MessageState.BOUNCED


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (answers.dsn("nobody@example.org"), "unknown_recipient"),
        (answers.dsn("ada@example.org", header_id=ours(uuid4())), "no_message"),
        (answers.complaint("nobody@example.org"), "unknown_recipient"),
    ],
)
def test_a_report_of_nobodys_message_waits_for_an_operator(app: App, octets: bytes, reason: str) -> None:
    sent(app)
    assert arrives(app, octets).states == {IncomingState.UNMATCHED: 1}
    assert (kept(app).reason, kept(app).body) == (reason, octets)
    assert (events(app), standing(app), standing(app, "nobody@example.org")) == ([], [], [])


def test_a_report_that_names_only_an_address_is_of_the_only_tenant_that_wrote_to_it(app: App) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    notify.send("hello", ADA, tenant="acme")
    drain(app)
    assert arrives(app, answers.dsn("ada@example.org")).effects == {Effect.SUPPRESSED: 1}
    assert suppressing.show(app, "ada@example.org", tenant="acme").suppressions != ()


def test_a_report_that_may_be_of_several_tenants_waits_for_an_operator(app: App) -> None:
    with app.store.begin() as connection:
        tenants.add(connection, "acme", app.clock.now())
    notify.send("hello", ADA, tenant="acme")
    message = sent(app)
    assert arrives(app, answers.dsn("ada@example.org")).states == {IncomingState.UNMATCHED: 1}
    assert kept(app).reason == "several_tenants"
    assert (state(app, message), standing(app)) == (MessageState.SENT, [])


def test_a_report_from_behind_a_list_condemns_it_only_if_all_are_dead(app: App) -> None:
    message = sent(app)
    other = "\nFinal-Recipient: rfc822; carl@elsewhere.example\nAction: failed\nStatus: 4.2.2\n"
    other += "Diagnostic-Code: smtp; 452 4.2.2 over quota\n"
    arrives(app, answers.dsn("bob@elsewhere.example", header_id=ours(message), more=other))
    assert standing(app) == []
    arrives(app, answers.dsn("bob@elsewhere.example", header_id=ours(message)))
    assert standing(app) == [("all", "bounced")]


# what it says, and what follows


def test_what_is_about_the_sender_touches_nobody_and_a_full_mailbox_counts(app: App) -> None:
    message = sent(app)
    assert arrives(app, answers.dsn("ada@example.org", said=answers.BLOCK, header_id=ours(message))).effects == {}
    taken = arrives(app, answers.dsn("ada@example.org", said=answers.SOFT, header_id=ours(message)))
    assert taken.effects == {Effect.SCORED: 1}
    assert standing(app) == []


def test_a_delay_and_a_delivery_are_recorded_and_nothing_follows(app: App) -> None:
    message = sent(app)
    delayed = answers.dsn("ada@example.org", said=("4.4.1", "timed out"), action="delayed", header_id=ours(message))
    done = answers.dsn("ada@example.org", said=("2.0.0", "250 ok"), action="delivered", header_id=ours(message))
    assert arrives(app, delayed, done).effects == {}
    assert sorted(what for what, _ in events(app)) == [EventType.DEFERRED, EventType.DELIVERED]
    assert state(app, message) is MessageState.DELIVERED


def test_a_complaint_suppresses_and_not_spam_does_not(app: App) -> None:
    message = sent(app)
    told = answers.complaint("ada@example.org", header_id=ours(message), kind="not-spam")
    assert arrives(app, told).states == {IncomingState.IGNORED: 1}
    assert standing(app) == []
    arrives(app, answers.complaint("ada@example.org", header_id=ours(message)))
    assert standing(app) == [("all", "complained")]
    assert state(app, message) is MessageState.COMPLAINED


def test_who_opts_out_by_a_report_leaves_the_category(app: App) -> None:
    message = sent(app)
    arrives(app, answers.complaint("ada@example.org", header_id=ours(message), kind="opt-out"))
    assert standing(app) == [("test", "unsubscribed")]


def test_an_auto_reply_and_a_reply_suppress_nobody_whatever_they_say(app: App) -> None:
    message = sent(app)
    taken = arrives(app, answers.away(ours(message)), answers.reply(f"In-Reply-To: {ours(message)}"))
    assert taken.kinds == {IncomingKind.AUTO_REPLY: 1, IncomingKind.REPLY: 1}
    assert sorted(what for what, _ in events(app)) == [EventType.AUTO_REPLIED, EventType.REPLIED]
    assert taken.effects == {}
    assert standing(app) == []
    assert state(app, message) is MessageState.DELIVERED


def test_a_read_receipt_is_of_the_message_it_names_if_somebody_saw_it(app: App) -> None:
    message = sent(app)
    deleted = arrives(app, answers.receipt(ours(message), disposition="deleted"))
    assert deleted.states == {IncomingState.IGNORED: 1}
    assert arrives(app, answers.receipt(ours(message))).kinds == {IncomingKind.READ_RECEIPT: 1}
    assert events(app) == [(EventType.READ, message)]


def test_a_reply_is_found_by_the_last_mail_of_its_thread_that_is_ours(app: App) -> None:
    first, last = sent(app), sent(app)
    thread = f"References: <{uuid4()}@apple.example> {ours(first)}\n {ours(last)} <other@example.net>"
    arrives(app, answers.reply("In-Reply-To: <other@example.net>", thread))
    assert events(app) == [(EventType.REPLIED, last)]


def test_the_words_of_a_reply_are_kept_where_they_are_asked_for(app: App) -> None:
    silent, talk = sent(app), sent(app, "talk")
    arrives(app, answers.reply(f"In-Reply-To: {ours(silent)}"), answers.reply(f"In-Reply-To: {ours(talk)}"))
    assert [one.text for one in explain(app, silent).mails] == [None]
    [mail] = explain(app, talk).mails
    assert (mail.kind, mail.text) == (IncomingKind.REPLY, "Yes, at noon.")
    assert explain(app, talk).as_json()["mails"][0]["text"] == "Yes, at noon."


def test_the_kind_s_own_word_on_replies_counts_before_the_settings(app: App, templates: Path) -> None:
    change(app, keep_replies=True)
    make_kind(templates, "whisper", toml="keep_replies = false")
    silent, whisper = sent(app), sent(app, "whisper")
    arrives(app, answers.reply(f"In-Reply-To: {ours(silent)}"), answers.reply(f"In-Reply-To: {ours(whisper)}"))
    assert [one.text for one in explain(app, silent).mails] == ["Yes, at noon."]
    assert [(one.kind, one.text) for one in explain(app, whisper).mails] == [(IncomingKind.REPLY, None)]


def test_ordinary_mail_is_left_alone(app: App) -> None:
    sent(app)
    octets = answers.reply("In-Reply-To: <lunch@example.net>")
    now = app.clock.now()
    for _ in range(2):
        assert take(app, BOX, [Mail(octets, len(octets), now, place="7:1")]).ignored == {"7:1"}
    assert (kept(app).state, kept(app).subject, kept(app).body) == (IncomingState.IGNORED, None, None)
    assert events(app) == []


def test_what_comes_to_a_return_path_and_is_not_understood_is_shown_to_an_operator(signed: App) -> None:
    app = signed
    message = sent(app)
    arrives(app, answers.reply(), to=verp.return_path(app.settings, message))
    assert (kept(app).state, kept(app).reason) == (IncomingState.UNMATCHED, "not_understood")
    assert state(app, message) is MessageState.SENT


def test_a_mail_without_any_header_is_rejected_by_name(app: App) -> None:
    arrives(app, b"\0\xff" * 50)
    assert (kept(app).state, kept(app).reason) == (IncomingState.REJECTED, "unreadable")


# once, in any order, and for everybody's state


def test_the_same_mail_again_or_from_another_mailbox_changes_nothing(app: App) -> None:
    message = sent(app)
    octets = answers.dsn("ada@example.org", said=answers.SOFT, header_id=ours(message))
    assert arrives(app, octets, octets).new == 1
    assert arrives(app, octets).new == 0
    assert arrives(app, octets, mailbox="lmtp://127.0.0.1:2424").effects == {}
    assert len(events(app)) == 1


def test_mails_in_any_order_end_in_the_same(app: App) -> None:
    ends = set()
    for number, order in enumerate(permutations(range(3))):
        address = f"u{number}@example.org"
        message = sent(app, to={"key": address, "email": address})
        story = (
            answers.away(ours(message)),
            answers.dsn(address, header_id=ours(message)),
            answers.complaint(address, header_id=ours(message)),
        )
        for one in order:
            arrives(app, story[one])
        ends.add((state(app, message), tuple(sorted(standing(app, address)))))
    assert ends == {(MessageState.COMPLAINED, (("all", "bounced"), ("all", "complained")))}


def test_a_mailbox_is_read_up_to_its_checkpoint_and_never_back(app: App) -> None:
    sent(app)
    one, two = answers.dsn("ada@example.org"), answers.dsn("bob@example.org")
    now = app.clock.now()
    take(app, BOX, [Mail(one, len(one), now, place="7:20")], Checkpoint(7, 20))
    take(app, BOX, [Mail(two, len(two), now, place="7:10")], Checkpoint(7, 10))
    of = tables.mailboxes.c
    chosen = sa.select(of.uid_validity, of.last_uid, of.mails).where(of.name == BOX)
    with app.store.read() as connection:
        assert tuple(connection.execute(chosen).one()) == (7, 20, 2)
    take(app, BOX, [], Checkpoint(8, 1))
    with app.store.read() as connection:
        assert tuple(connection.execute(chosen).one()) == (8, 1, 2)


def test_nothing_of_a_slice_is_stored_without_its_checkpoint(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    message = sent(app)
    octets = answers.dsn("ada@example.org", header_id=ours(message))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(incoming, "advance", dies)
        with pytest.raises(KeyboardInterrupt):
            arrives(app, octets)
    assert (events(app), standing(app), state(app, message)) == ([], [], MessageState.SENT)
    assert arrives(app, octets).effects == {Effect.SUPPRESSED: 1}


def test_a_mail_that_cannot_be_recorded_keeps_no_other_waiting(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    message = sent(app)
    good, bad = answers.dsn("ada@example.org", header_id=ours(message)), answers.dsn("bad@example.org")

    def chokes(app: App, connection: Connection, opened: Sequence[Opened], now: datetime) -> list[Judged]:
        if any(one.mail.octets == bad for one in opened):
            raise ZeroDivisionError
        return judge(app, connection, opened, now)

    monkeypatch.setattr("notify.feedback.incoming.judge", chokes)
    taken = arrives(app, bad, good)
    assert taken.states == {IncomingState.MATCHED: 1, IncomingState.REJECTED: 1}
    assert state(app, message) is MessageState.BOUNCED


@pytest.fixture
def failed(signed: App, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """The message of a report that a fault of our own kept from being recorded: only its envelope names it."""
    message = sent(signed)

    def chokes(*_: object) -> list[Judged]:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("notify.feedback.incoming.judge", chokes)
        arrives(signed, answers.dsn("x@elsewhere.example"), to=verp.return_path(signed.settings, message))
        assert take_again(signed, [], "failed", actor="eve") == {IncomingState.REJECTED: 1}
    assert (kept(signed).reason, state(signed, message)) == ("failed", MessageState.SENT)
    return message


def test_a_mail_that_failed_is_read_again_and_counts(signed: App, failed: UUID) -> None:
    assert take_again(signed, [kept(signed).id], None, actor="eve") == {IncomingState.MATCHED: 1}
    mail = kept(signed)
    assert (mail.message_id, mail.reason, mail.body, mail.envelope_to) == (failed, None, None, None)
    assert (state(signed, failed), standing(signed)) == (MessageState.BOUNCED, [("all", "bounced")])
    assert take_again(signed, [mail.id], None, actor="eve") == {}


def test_a_mail_that_failed_is_understood_when_it_is_attached(signed: App, failed: UUID) -> None:
    done = unmatched.attach(signed, kept(signed).id, actor="eve", recipient="ada")
    assert done.recorded.effects == {Effect.SUPPRESSED: 1}
    assert state(signed, failed) is MessageState.BOUNCED


def test_of_a_report_that_is_attached_to_who_was_erased_no_words_are_left(app: App) -> None:
    message = sent(app)
    notify.privacy.erase("ada", reason="asked", actor="eve")
    arrives(app, answers.dsn("ada@example.org"))
    unmatched.attach(app, kept(app).id, actor="eve", message=message)
    assert words_kept(app) == [None] * 4


def test_who_left_stays_so_whatever_bounces(app: App) -> None:
    message = sent(app)
    notify.suppressions.add("ada@example.org", reason="unsubscribed")
    arrives(app, answers.dsn("ada@example.org", header_id=ours(message)))
    assert ("all", "unsubscribed") in standing(app)


def test_of_who_was_erased_nothing_is_kept_and_nothing_follows(app: App) -> None:
    message = sent(app)
    notify.privacy.erase("ada", reason="asked", actor="eve")
    arrives(app, answers.dsn("ada@example.org", header_id=ours(message)))
    assert standing(app) == []
    mail = kept(app)
    assert (mail.state, mail.sender, mail.report, mail.body) == (IncomingState.MATCHED, None, None, None)
    of = tables.events.c
    with app.store.read() as connection:
        assert tuple(connection.execute(sa.select(of.address, of.diagnostic)).one()) == (None, None)


def test_an_erasure_empties_the_mails_of_a_person_and_reports_that_name_them(app: App) -> None:
    talk = sent(app, "talk")
    arrives(app, answers.reply(f"In-Reply-To: {ours(talk)}"), answers.dsn("ada@example.org", header_id=ours(uuid4())))
    notify.privacy.erase("ada", reason="asked", actor="eve")
    of = tables.incoming_mails.c
    with app.store.read() as connection:
        rows = connection.execute(sa.select(of.sender, of.subject, of.report, of.body, of.text)).all()
    assert [tuple(row) for row in rows] == [(None,) * 5] * 2


def test_a_report_about_another_address_is_not_hers_because_it_ends_in_hers(app: App) -> None:
    ann = {"key": "ann", "email": "ann@example.org"}
    sent(app, to=ann)
    octets = answers.dsn("joann@example.org")
    arrives(app, octets)
    assert "incoming_mails" not in notify.privacy.export_person("ann")["tables"]
    notify.privacy.erase("ann", reason="asked", actor="eve")
    mail = kept(app)
    assert (mail.report or {})["recipients"][0]["address"] == "joann@example.org"
    assert mail.body == octets


def words_kept(app: App) -> list[object]:
    mail = kept(app)
    return [mail.sender, mail.subject, mail.report, mail.body]


def test_a_mail_that_nobody_understands_is_of_the_message_whose_return_path_it_came_to(signed: App) -> None:
    app = signed
    message = sent(app)
    path = verp.return_path(app.settings, message)
    arrives(app, answers.reply(), to=path)
    assert kept(app).message_id == message
    notify.privacy.erase("ada", reason="asked", actor="eve")
    assert words_kept(app) == [None] * 4
    arrives(app, answers.reply(words="I moved."), to=path)
    of = tables.incoming_mails.c
    with app.store.read() as connection:
        assert connection.scalars(sa.select(of.body).where(of.state == IncomingState.UNMATCHED)).all() == [None] * 2


def test_a_report_to_a_forged_token_is_forgotten_with_whom_it_names(signed: App) -> None:
    app = signed
    path = verp.return_path(app.settings, sent(app))
    forged = path.replace(path[9:20], path[9:20][::-1])
    arrives(app, answers.dsn("x@elsewhere.example", to=forged, header_id=ours(sent(app))))
    assert kept(app).reason == "forged_token"
    notify.privacy.erase("ada", reason="asked", actor="eve")
    assert words_kept(app) == [None] * 4


UNREADABLE = {
    "plain": b"\r\nAda@Example.org moved away\r\n",
    "quoted-printable": b"\r\nwrite to ada@exam=\r\nple.org\r\n",
    "Base64": b"\r\n" + b64encode(b"Please write to <ada@example.org> from now on"),
}


@pytest.mark.parametrize("octets", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_mail_that_could_not_be_read_is_forgotten_with_whom_it_names(app: App, octets: bytes) -> None:
    sent(app)
    arrives(app, octets)
    assert kept(app).reason == "unreadable"
    notify.privacy.erase("ada", reason="asked", actor="eve")
    assert kept(app).body is None


@limits(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_octets_raise_an_error_or_suppress_somebody_they_do_not_name(app: App, data: st.DataObject) -> None:
    message = sent(app, to={"key": "safe", "email": "safe@example.org"})
    forms = [
        answers.dsn("other@example.org", header_id=ours(uuid4())),
        answers.complaint("other@example.org"),
        answers.receipt(ours(uuid4())),
        answers.away(),
    ]
    octets = bytearray(data.draw(st.one_of(st.binary(max_size=400), st.sampled_from(forms))))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(octets)))
        octets[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    arrives(app, bytes(octets))
    assert state(app, message) is MessageState.SENT
    assert standing(app, "safe@example.org") == []


# an operator decides


def waiting(app: App, address: str = "nobody@example.org") -> UUID:
    arrives(app, answers.dsn(address, header_id=ours(uuid4())))
    return kept(app).id


def test_a_report_that_is_attached_to_a_recipient_has_its_consequences_once(app: App) -> None:
    message = sent(app)
    mail = waiting(app)
    done = unmatched.attach(app, mail, actor="eve", recipient="ada")
    assert (done.now, done.message_id, done.recorded.effects) == (True, message, {Effect.SUPPRESSED: 1})
    assert standing(app) == [("all", "bounced")]
    again = unmatched.attach(app, mail, actor="bob", recipient="ada")
    assert (again.now, again.by) == (False, "eve")
    assert (kept(app).state, kept(app).message_id, kept(app).body) == (IncomingState.RESOLVED, message, None)
    of = tables.audit.c
    with app.store.read() as connection:
        deeds = connection.execute(sa.select(of.actor, of.action).where(of.subject == str(mail))).all()
    assert [tuple(one) for one in deeds] == [("eve", "bounces.resolve")]


def test_a_report_is_attached_to_a_message(app: App) -> None:
    first, last = sent(app), sent(app)
    unmatched.attach(app, waiting(app), actor="eve", message=first)
    assert (state(app, first), state(app, last)) == (MessageState.BOUNCED, MessageState.SENT)


def test_a_report_that_is_dismissed_has_no_consequences_and_comes_up_no_more(app: App) -> None:
    sent(app)
    mail = waiting(app, "ada@example.org")
    assert unmatched.dismiss(app, mail, actor="eve").now
    assert not unmatched.dismiss(app, mail, actor="eve").now
    assert (standing(app), events(app)) == ([], [])
    with app.store.read() as connection:
        assert incoming.waiting(connection) == 0


def test_a_report_is_attached_to_nobody_who_is_not_known(app: App) -> None:
    mail = waiting(app)
    with pytest.raises(NotFound, match="nothing was sent"):
        unmatched.attach(app, mail, actor="eve", recipient="nobody")
    with pytest.raises(NotFound, match="no message"):
        unmatched.attach(app, mail, actor="eve", message=uuid4())
    with pytest.raises(NotFound, match="no report"):
        unmatched.dismiss(app, uuid4(), actor="eve")


# what operators are told


def test_operators_are_told_once_for_each_hour_that_mails_suppressed_somebody(app: App) -> None:
    clock = MovableClock(app.clock.now() - timedelta(hours=3))  # ids have the real time, and must not seem too old
    object.__setattr__(app, "clock", clock)
    heard: list[str] = []

    def returns(*keys: str) -> None:
        for key in keys:
            to = {"key": key, "email": f"{key}@example.org"}
            arrives(app, answers.dsn(to["email"], header_id=ours(sent(app, to=to))))

    def looks(minutes: int) -> None:
        for _ in range(minutes):
            clock.move(timedelta(minutes=1))
            alerts.look(app)

    def hear(event: str, facts: Facts) -> None:
        if event.startswith("alert.") and facts["alert"] == "suppressed:mail":
            heard.append(facts["summary"].partition(".")[0])

    with subscribed(hear):
        returns("ada", "bob")
        looks(10)
        assert heard == ["2 addresses were suppressed by mails that came back (ada, bob)"]
        returns("carl", "dora", "eve")
        looks(50)
        assert heard[1:] == []
        looks(5)
        assert heard[1:] == ["3 addresses were suppressed by mails that came back (carl, dora, eve)"]
        looks(65)
    assert heard[2:] == ["over: 3 addresses were suppressed by mails that came back (carl, dora, eve)"]
