"""Mails that a provider handed over are read by the tick as mails of a mailbox are, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.channels.email import verp
from notify.channels.form_data import Cutting
from notify.channels.hook import HookRequest
from notify.errors import Unreachable
from notify.feedback import hooks
from notify.feedback.incoming import Mail, Taken, take
from notify.model import HookState, IncomingKind, IncomingState, MessageState
from notify.store import hooks as store
from notify.store.hooks import Posted
from notify.store.tables import events, hook_payloads, incoming_mails
from notify.testing import MovableClock
from tests.answers import dsn, ours
from tests.conformance.inbound import fields, form, raw
from tests.conformance.signers import RESEND
from tests.integration.test_hooks import listed, posted
from tests.integration.test_incoming import VERP, change, kept, sent, standing, state
from tests.kinds import make_kind

ORDINARY = b"From: Eve <eve@example.net>\nTo: x@example.org\nSubject: Hello\nMessage-ID: <eve@example.net>\n\nHello\n"


@pytest.fixture(autouse=True)
def _kinds(templates: Path) -> None:
    make_kind(templates)


def handed_over(app: App, *requests: HookRequest) -> None:
    """They are stored as the web process stores them."""
    hooks.receive(app, [_cut(app, request, number) for number, request in enumerate(requests)])


def _cut(app: App, request: HookRequest, number: int) -> Posted:
    content_type = request.headers["content-type"]
    cutting = Cutting(content_type)
    cutting.add(request.body)
    headers = {"content-type": content_type, hooks.OCTETS: str(len(request.body))}
    return Posted("sendgrid-parse", f"mail-{number}", headers, cutting.kept(), app.clock.now())


def bodies(app: App) -> list[bytes]:
    with app.store.read() as connection:
        return [bytes(one) for one in connection.scalars(sa.select(hook_payloads.c.body).order_by(hook_payloads.c.id))]


def count(app: App, table: sa.Table) -> int:
    with app.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def whole(address: str, to: str) -> HookRequest:
    return raw(dsn(address, to="whoever@example.org"), to)


def in_fields(address: str, to: str) -> HookRequest:
    head = b"From: MAILER-DAEMON@mx.example.net\nSubject: Undelivered\n"
    head += b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\n"
    status = f"Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; {address}\nAction: failed\nStatus: 5.1.1\n".encode()
    return fields(head, {"text": b"No such user."}, [("status", "message/delivery-status", status)], to)


@pytest.mark.parametrize("handing", [whole, in_fields])
def test_a_bounce_to_a_signed_return_path_is_of_its_message(
    app: App, handing: Callable[[str, str], HookRequest]
) -> None:
    change(app, return_path=VERP)
    first, last = sent(app), sent(app)
    handed_over(app, handing("x@elsewhere.example", verp.return_path(app.settings, first)))
    assert hooks.run(app, 5) == 1
    assert (state(app, first), state(app, last)) == (MessageState.BOUNCED, MessageState.SENT)
    assert standing(app) == [("all", "bounced")]
    (delivery,) = listed(app)
    mail = kept(app)
    assert (delivery.state, delivery.events, delivery.reason) == (HookState.PROCESSED, 1, None)
    assert (mail.mailbox, mail.place, mail.message_id) == ("hooks/sendgrid-parse", str(delivery.id), first)


def test_the_same_mail_in_another_delivery_counts_once(app: App) -> None:
    sent(app)
    request = raw(dsn("ada@example.org"))
    handed_over(app, request, raw(dsn("ada@example.org"), "other@example.org"), request)
    assert hooks.run(app, 5) == 3
    assert (count(app, incoming_mails), count(app, events)) == (1, 1)
    assert [bool(body) for body in bodies(app)].count(True) == 1


def test_of_what_is_no_business_of_ours_only_that_it_came_is_kept(app: App) -> None:
    sent(app)
    handed_over(app, raw(ORDINARY), raw(dsn("ada@example.org")))
    assert hooks.run(app, 5) == 2
    ordinary, bounce = bodies(app)
    assert ordinary == b""
    assert b"5.1.1" in bounce, "what counted is there as it came"


def test_what_cannot_be_read_is_named_and_keeps_nobody_waiting(app: App) -> None:
    sent(app)
    unreadable = replace(raw(b"x"), body=b"no form")
    handed_over(app, unreadable, form({"text": b"no head"}), raw(dsn("ada@example.org")))
    assert hooks.run(app, 5) == 3
    assert {one.payload_id: one.reason for one in listed(app)} == {
        "mail-0": "not_a_form",
        "mail-1": "wrong_type",
        "mail-2": None,
    }
    assert bodies(app)[0] == b"no form"
    assert standing(app) == [("all", "bounced")]


def test_a_mail_that_no_reader_understands_is_stored_and_named(app: App) -> None:
    handed_over(app, raw(b""), raw(b"\xff\x00" * 1000))
    assert hooks.run(app, 5) == 2
    with app.store.read() as connection:
        states = set(connection.scalars(sa.select(incoming_mails.c.state)))
    assert states == {IncomingState.REJECTED}
    assert standing(app) == []


def test_a_bounce_that_returns_a_huge_mail_is_read_from_its_beginning(app: App) -> None:
    message = sent(app)
    bounce = dsn("ada@example.org", header_id=ours(message)) + b"x" * (8 * 1024 * 1024)
    handed_over(app, raw(bounce))
    assert hooks.run(app, 5) == 1
    assert state(app, message) is MessageState.BOUNCED
    assert kept(app).size == len(bounce)


def test_many_large_mails_are_read_a_few_at_a_time(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def counting(app: App, mailbox: str, mails: Sequence[Mail]) -> Taken:
        taken.append(len(mails))
        return take(app, mailbox, mails)

    monkeypatch.setattr(hooks, "take", counting)
    monkeypatch.setattr(hooks, "MOST_OCTETS", 200_000)
    large = [raw(b"Subject: %d\n\n" % number + b"x" * 90_000) for number in range(4)]
    handed_over(app, *large, raw(b"Subject: 4\n\n" + b"x" * 300_000), raw(ORDINARY))
    assert hooks.run(app, 60) == 6
    assert taken == [2, 2, 1, 1]


def test_one_that_our_own_code_cannot_digest_keeps_no_other_waiting(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovableClock(app.clock.now())
    object.__setattr__(app, "clock", clock)
    sent(app)

    def failing(app: App, mailbox: str, mails: Sequence[Mail]) -> Taken:
        if any(b"Hello" in (mail.octets or b"") for mail in mails):
            raise ZeroDivisionError
        return take(app, mailbox, mails)

    monkeypatch.setattr(hooks, "take", failing)
    monkeypatch.setattr(hooks, "MOST_OCTETS", 1)
    handed_over(app, raw(ORDINARY), raw(dsn("ada@example.org")))
    hooks.receive(app, [posted("resend", RESEND.post(RESEND.secrets[0], RESEND.bounce()), 9)])
    assert hooks.run(app, 60) == 2
    for wait in hooks.WAITS[:-1]:
        clock.move(wait)
        assert hooks.run(app, 5) == 0
    clock.move(hooks.WAITS[-1])
    assert hooks.run(app, 5) == 1
    assert {one.payload_id: one.reason for one in listed(app)} == {
        "mail-0": "failed",
        "mail-1": None,
        "delivery-9": None,
    }
    monkeypatch.setattr(hooks, "take", take)
    with app.store.begin() as connection:
        assert store.again(connection, [], "failed") == 1
    assert hooks.run(app, 5) == 1


def test_a_database_that_goes_away_between_mail_and_delivery_loses_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(app)
    handed_over(app, raw(dsn("ada@example.org")))

    def away(*_: object) -> None:
        raise Unreachable("away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "settle", away)
        with pytest.raises(Unreachable):
            hooks.run(app, 5)
    assert (listed(app)[0].state, count(app, incoming_mails)) == (HookState.RECEIVED, 1)
    assert hooks.run(app, 5) == 1
    assert (count(app, incoming_mails), count(app, events)) == (1, 1)
    assert kept(app).kind is IncomingKind.BOUNCE
    assert b"5.1.1" in bodies(app)[0], "read twice, it told what is known"


def test_who_is_erased_is_taken_out_of_what_was_handed_over(app: App) -> None:
    message = sent(app)
    handed_over(app, raw(dsn("ada@example.org", header_id=ours(message))), raw(dsn("eve@example.net")))
    hooks.run(app, 5)
    notify.privacy.erase("ada", "asked")
    theirs, others = bodies(app)
    assert theirs == b""
    assert b"eve@example.net" in others
