"""Addresses that must not be used: never weakened, known again after an erasure, brought along from lists."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import notify
from notify.app import App
from notify.audience import suppressing, suppression_import
from notify.audience.suppression_import import Imported
from notify.dev.mailbox import Mailbox
from notify.errors import InvalidAddress, InvalidSuppression, NotFound, OperatorError
from notify.intake import fan_out
from notify.model import Author, Channel, Source, Suppression
from notify.model.recipient import REASONS
from notify.store import recipients, suppressions, tables, tombstones
from notify.store.tenants import DEFAULT_ID
from tests.drain import drain
from tests.kinds import make_kind
from tests.unit.cli.running import install, notify_cli

ADA = "ada@example.org"
SOON = timedelta(days=7)


@pytest.fixture(autouse=True)
def _known_categories(templates: Path) -> None:
    (templates / "categories.toml").write_text("[newsletter]\n[news]\n")


def standing(app: App, address: str = ADA) -> list[tuple[str, str, bool]]:
    """Scope, reason, and whether it lasts, of each row of an address."""
    rows = suppressing.show(app, address).suppressions
    return [(row.suppression.scope, row.suppression.reason, row.suppression.expires_at is None) for row in rows]


def audited(app: App) -> list[Any]:
    with app.store.read() as connection:
        return list(connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id)))


def bury(app: App, address: str = ADA, channel: Channel = Channel.EMAIL) -> int:
    with app.store.begin() as connection:
        return suppressions.bury(connection, DEFAULT_ID, channel, address, app.settings.secrets[0])


# what stands is never weakened


@pytest.mark.parametrize(
    ("first", "then", "stands"),
    [
        ({"reason": "bounced"}, {"reason": "bounced", "expires": SOON}, True),
        ({"reason": "bounced", "expires": SOON}, {"reason": "bounced"}, True),
        ({"reason": "manual", "expires": 2 * SOON}, {"reason": "manual", "expires": SOON}, False),
    ],
)
def test_of_two_for_the_same_reason_the_longer_time_counts(
    app: App, first: dict[str, Any], then: dict[str, Any], stands: bool
) -> None:
    assert notify.suppressions.add(ADA, **first)
    notify.suppressions.add(ADA, **then)
    assert standing(app) == [("all", first["reason"], stands)]


@pytest.mark.parametrize("order", [1, -1])
def test_each_reason_stands_by_itself(app: App, order: int) -> None:
    for reason in REASONS[::order]:
        assert notify.suppressions.add(ADA, reason=reason, expires=SOON if reason == "bounced" else None)
    assert sorted(standing(app)) == sorted(("all", reason, reason != "bounced") for reason in REASONS)


def test_one_that_has_expired_stands_in_nobodys_way(app: App) -> None:
    now = app.clock.now()
    gone = Suppression(Channel.EMAIL, ADA, "bounced", "roster", expires_at=now - SOON, since=now - 2 * SOON)
    with app.store.begin() as connection:
        suppressions.add(connection, DEFAULT_ID, [gone], now)
    assert notify.suppressions.add(ADA, reason="bounced", expires=SOON)
    [row] = suppressing.show(app, ADA).suppressions
    assert row.suppression.source == "application"
    assert row.since >= now


def test_two_for_one_address_in_one_call_end_as_if_they_had_come_one_by_one(app: App) -> None:
    now = app.clock.now()
    ends = (now + SOON, now + 2 * SOON, now + SOON)
    rows = [Suppression(Channel.EMAIL, ADA, "manual", "list", expires_at=end) for end in ends]
    with app.store.begin() as connection:
        assert suppressions.add(connection, DEFAULT_ID, rows, now) == 1
    [row] = suppressing.show(app, ADA).suppressions
    assert row.suppression.expires_at == now + 2 * SOON


def test_everything_and_one_category_stand_side_by_side(app: App) -> None:
    notify.suppressions.add(ADA, reason="unsubscribed", scope="newsletter")
    notify.suppressions.add(ADA, reason="bounced")
    assert standing(app) == [("newsletter", "unsubscribed", True), ("all", "bounced", True)]


def test_leaving_the_newsletter_does_not_block_a_password_reset(app: App, mailbox: Mailbox, templates: Path) -> None:
    make_kind(templates)
    notify.suppressions.add(ADA, reason="unsubscribed", scope="newsletter")
    assert notify.send("hello", to={"key": "ada", "email": ADA}).messages == {"queued": 1}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"address": "nowhere"}, InvalidAddress, "is not an e-mail address"),
        ({"address": "0612", "channel": "sms"}, InvalidAddress, "begin with \\+ and the country's code"),
        ({"address": ADA, "reason": "bounce"}, InvalidSuppression, "did you mean 'bounced'"),
        ({"address": ADA, "channel": "mail"}, InvalidSuppression, "did you mean 'email'"),
        ({"address": ADA, "scope": ""}, InvalidSuppression, "scope must have"),
        ({"address": ADA, "scope": "newsleter"}, InvalidSuppression, "did you mean 'newsletter'"),
        ({"address": ADA, "scope": "kind:welcom"}, InvalidSuppression, "did you mean 'kind:welcome'"),
        ({"address": ADA, "scope": "nosuch"}, InvalidSuppression, "It is all, a category \\(account, "),
        ({"address": ADA, "expires": -SOON}, InvalidSuppression, "in the past"),
        ({"address": ADA, "expires": timedelta.max}, InvalidSuppression, "beyond the year 9999"),
        ({"address": ADA, "expires": datetime(2031, 1, 1)}, InvalidSuppression, "with a time zone"),
        ({"address": ADA, "note": "n" * 1001}, InvalidSuppression, "at most 1,000"),
    ],
)
def test_what_cannot_be_suppressed_is_refused_with_the_remedy(
    app: App, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        notify.suppressions.add(**given)
    assert audited(app) == []


def test_one_kind_can_be_suppressed_by_hand(app: App) -> None:
    assert notify.suppressions.add(ADA, scope="kind:welcome")
    assert standing(app) == [("kind:welcome", "manual", True)]


def test_a_phone_number_is_read_as_it_is_everywhere_else(app: App, make_app: Callable[..., App]) -> None:
    dutch = make_app(app.settings, phone_region="NL")
    assert suppressing.add(dutch, "06 12345678", actor="test", channel="sms")
    [kept] = suppressing.show(app, "+31 6-1234.5678", channel="sms").suppressions
    assert kept.suppression.address == "+31612345678"


# removing


def test_a_removal_leaves_the_whole_former_row_in_the_audit(app: App) -> None:
    notify.suppressions.add(ADA, reason="bounced", note="no such user")
    [was] = notify.suppressions.remove("Ada@Example.org", reason="mailbox is back")
    assert (was.suppression.reason, standing(app)) == ("bounced", [])
    row = audited(app)[-1]
    assert (row.actor, row.action) == ("application", "suppressions.remove")
    assert row.detail["reason"] == "mailbox is back"
    assert (row.detail["was"]["address"], row.detail["was"]["note"]) == (ADA, "no such user")


@pytest.mark.parametrize("reason", ["unsubscribed", "complained"])
def test_a_persons_own_word_is_only_undone_by_force(app: App, reason: str) -> None:
    notify.suppressions.add(ADA, reason=reason)
    with pytest.raises(InvalidSuppression, match=r"(?s)the person said no.*offence.*--force"):
        notify.suppressions.remove(ADA, reason="we want to")
    assert len(standing(app)) == 1
    notify.suppressions.remove(ADA, reason="signed up again on paper", force=True)
    assert (standing(app), audited(app)[-1].detail["forced"]) == ([], True)


def test_removing_one_scope_leaves_the_others(app: App) -> None:
    notify.suppressions.add(ADA, scope="newsletter")
    notify.suppressions.add(ADA)
    notify.suppressions.remove(ADA, scope="newsletter", reason="asked")
    assert standing(app) == [("all", "manual", True)]
    with pytest.raises(NotFound, match="is not suppressed on email for newsletter"):
        notify.suppressions.remove(ADA, scope="newsletter", reason="again")


# tombstones


def test_a_tombstone_forbids_what_the_suppression_did(app: App, mailbox: Mailbox, templates: Path) -> None:
    make_kind(templates)
    notify.suppressions.add(ADA, reason="unsubscribed")
    assert bury(app) == 1
    with app.store.read() as connection:
        [kept] = connection.scalars(sa.select(tables.suppressions.c.address))
    assert kept.startswith("hmac:")
    assert "ada" not in kept
    sent = notify.send("hello", to={"key": "again", "email": "ADA@example.org"})
    assert sent.messages == {"skipped": 1}


def test_a_tombstone_is_shown_and_removed_by_the_address(app: App) -> None:
    notify.suppressions.add(ADA, reason="bounced")
    bury(app)
    [kept] = notify.suppressions.show(ADA).suppressions
    assert kept.tombstone
    notify.suppressions.remove(ADA, reason="another person has it now")
    assert standing(app) == []


def test_a_tombstone_is_known_again_after_the_secret_was_rotated(app: App, make_app: Callable[..., App]) -> None:
    notify.suppressions.add(ADA, reason="bounced")
    bury(app)
    before, after = app.settings.secret_key, type(app.settings.secret_key)("a new secret of enough characters")
    rotated = make_app(app.settings, secret_key=after, old_secret_keys=(before,))
    assert standing(rotated) == [("all", "bounced", True)]
    forgotten = make_app(app.settings, secret_key=after)
    assert standing(forgotten) == []


def test_a_tombstone_of_one_channel_is_none_of_another() -> None:
    marks = {tombstones.of("secret", channel, "+31612345678") for channel in Channel}
    assert len(marks) == len(Channel)


def test_someone_of_a_roster_who_left_a_tombstone_is_planned_at_most_but_never_written_to(
    app: App, mailbox: Mailbox, templates: Path
) -> None:
    make_kind(templates)
    notify.suppressions.add(ADA, reason="complained")
    bury(app)
    back = recipients.Change("ada", addresses={Channel.EMAIL: ADA})
    eve = recipients.Change("eve", addresses={Channel.EMAIL: "eve@example.org"})
    with app.store.begin() as connection:
        recipients.apply(connection, DEFAULT_ID, [back, eve], app.clock.now(), by=Author("ada", Source.CLI))
    notify.send_many("hello", notify.everyone())
    fan_out.run(app)
    drain(app)
    with app.store.read() as connection:
        states = connection.execute(sa.select(tables.messages.c.address, tables.messages.c.state)).all()
    assert {tuple(row) for row in states} == {(ADA, "skipped"), ("eve@example.org", "sent")}
    assert mailbox.count == 1


def test_a_tenant_without_tombstones_looks_nothing_up_twice(app: App) -> None:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    def looked_up() -> int:
        seen.clear()
        with app.store.read() as connection:
            suppressions.of_addresses(connection, DEFAULT_ID, Channel.EMAIL, [ADA], app.settings.secrets)
        return len([one for one in seen if "suppressions" in one])

    notify.suppressions.add(ADA)
    sa.event.listen(app.store.engine, "before_cursor_execute", note)
    try:
        assert looked_up() == 1
        bury(app)
        assert looked_up() == 2
    finally:
        sa.event.remove(app.store.engine, "before_cursor_execute", note)


# lists of providers


SES_JSON = json.dumps(
    {
        "SuppressedDestinationSummaries": [
            {"EmailAddress": "a@example.org", "Reason": "BOUNCE", "LastUpdateTime": "2026-01-02T03:04:05+00:00"},
            {"EmailAddress": "b@example.org", "Reason": "COMPLAINT", "LastUpdateTime": 1767323045.5},
        ],
        "NextToken": "x",
    },
    indent=1,
)
SES_CSV = "EmailAddress,Reason,LastUpdateTime\na@example.org,BOUNCE,2026-01-02T03:04:05Z\nb@example.org,COMPLAINT,\n"
SENDGRID_BOUNCES = (
    "status,reason,email,created\n"
    '5.1.1,"550 5.1.1 no such user",a@example.org,1767323045\n'
    '4.2.2,"452 4.2.2 mailbox full",soft@example.org,1767323045\n'
    '5.2.2,"552 5.2.2 over quota",full@example.org,1767323045\n'
    '5.7.1,"554 5.7.1 blocked, see spamhaus",block@example.org,1767323045\n'
    ',"550 user unknown",b@example.org,1767323045\n'
)
SENDGRID_JSON = json.dumps(
    [{"created": 1767323045, "email": "a@example.org", "reason": "550 5.1.1 no", "status": "5.1.1"}]
)
SENDGRID_SPAM = "email,ip,created\na@example.org,192.0.2.1,1767323045\n"
SENDGRID_LEFT = json.dumps([{"created": 1767323045, "email": "a@example.org"}])
MAILGUN_BOUNCES = (
    "address,code,error,created_at\n"
    'a@example.org,550,No such mailbox,"Fri, 02 Jan 2026 03:04:05 UTC"\n'
    'soft@example.org,451,Try later,"Fri, 02 Jan 2026 03:04:05 UTC"\n'
)
MAILGUN_LEFT = json.dumps(
    {
        "items": [
            {"address": "a@example.org", "tags": ["*"], "created_at": "Fri, 02 Jan 2026 03:04:05 UTC"},
            {"address": "b@example.org", "tags": ["promo"], "created_at": "Fri, 02 Jan 2026 03:04:05 UTC"},
        ],
        "paging": {"next": "https://example.org"},
    }
)
MAILGUN_COMPLAINTS = 'address,created_at\na@example.org,"Fri, 02 Jan 2026 03:04:05 UTC"\n'
POSTMARK = json.dumps(
    {
        "Suppressions": [
            {"EmailAddress": "a@example.org", "SuppressionReason": "HardBounce", "Origin": "Recipient"},
            {"EmailAddress": "b@example.org", "SuppressionReason": "SpamComplaint", "Origin": "Recipient"},
            {"EmailAddress": "c@example.org", "SuppressionReason": "ManualSuppression", "Origin": "Recipient"},
            {"EmailAddress": "d@example.org", "SuppressionReason": "ManualSuppression", "Origin": "Customer"},
        ]
    }
)
POSTMARK_CSV = "EmailAddress;SuppressionReason;Origin;CreatedAt\na@example.org;HardBounce;Recipient;2026-01-02\n"


def imported(app: App, tmp_path: Path, text: str, name: str = "list.csv", **given: Any) -> Imported:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return suppression_import.import_list(app, path, actor="test", **given)


def reasons(app: App) -> dict[str, str]:
    with app.store.read() as connection:
        return {
            one.suppression.address: one.suppression.reason for one in suppressions.everything(connection, DEFAULT_ID)
        }


@pytest.mark.parametrize(
    ("text", "found", "passed_over", "refused"),
    [
        (SES_JSON, {"a": "bounced", "b": "complained"}, 0, 0),
        (SES_CSV, {"a": "bounced", "b": "complained"}, 0, 0),
        (SENDGRID_BOUNCES, {"a": "bounced", "b": "bounced"}, 3, 0),
        (SENDGRID_JSON, {"a": "bounced"}, 0, 0),
        (SENDGRID_SPAM, {"a": "complained"}, 0, 0),
        (SENDGRID_LEFT, {"a": "unsubscribed"}, 0, 0),
        (MAILGUN_BOUNCES, {"a": "bounced"}, 1, 0),
        (MAILGUN_LEFT, {"a": "unsubscribed"}, 0, 1),
        (MAILGUN_COMPLAINTS, {"a": "complained"}, 0, 0),
        (POSTMARK, {"a": "bounced", "b": "complained", "c": "unsubscribed", "d": "manual"}, 0, 0),
        (POSTMARK_CSV, {"a": "bounced"}, 0, 0),
    ],
    ids=[
        "ses json",
        "ses csv",
        "sendgrid bounces",
        "sendgrid json",
        "sendgrid spam reports",
        "sendgrid unsubscribes",
        "mailgun bounces",
        "mailgun unsubscribes",
        "mailgun complaints",
        "postmark json",
        "postmark csv",
    ],
)
def test_a_providers_list_is_recognised_and_says_the_same_when_imported_again(
    app: App, tmp_path: Path, *, text: str, found: dict[str, str], passed_over: int, refused: int
) -> None:
    first = imported(app, tmp_path, text)
    assert reasons(app) == {f"{name}@example.org": reason for name, reason in found.items()}
    assert (first.added, first.unchanged) == (len(found), 0)
    assert (first.passed_over, first.refused) == (passed_over, refused)
    again = imported(app, tmp_path, text)
    assert (again.added, again.unchanged) == (0, len(found))


def test_blocks_suppress_nobody(app: App, tmp_path: Path) -> None:
    text = SENDGRID_BOUNCES.splitlines()[0] + "\n,550 no thanks,a@example.org,1767323045\n"
    assert imported(app, tmp_path, text, "suppression_blocks.csv").passed_over == 1
    assert imported(app, tmp_path, text, form="sendgrid-blocks").passed_over == 1
    assert reasons(app) == {}


def test_a_list_never_weakens_what_stands_and_keeps_when_it_began(app: App, tmp_path: Path) -> None:
    notify.suppressions.add("a@example.org", reason="unsubscribed")
    imported(app, tmp_path, SES_JSON)
    assert ("all", "unsubscribed", True) in standing(app, "a@example.org")
    [b] = suppressing.show(app, "b@example.org").suppressions
    assert b.since == datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)


def test_a_row_that_cannot_be_used_is_named_by_its_line_and_the_others_go_in(app: App, tmp_path: Path) -> None:
    text = (
        'address,reason,note\na@example.org,bounced,"two\nlines"\n'
        "nowhere,bounced,\nb@example.org,bounce,\nc@example.org\n"
    )
    result = imported(app, tmp_path, text)
    assert (result.added, [row.line for row in result.lines_refused]) == (1, [4, 5, 6])
    said = " ".join(row.reason for row in result.lines_refused)
    for part in ("not an e-mail address", "did you mean 'bounced'", "as many cells"):
        assert part in said


def test_a_list_for_a_category_that_nobody_knows_suppresses_nobody(app: App, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(SENDGRID_BOUNCES)
    with pytest.raises(InvalidSuppression, match="did you mean 'news'"):
        suppression_import.import_list(app, path, actor="test", scope="newz")
    assert reasons(app) == {}


def test_rows_of_json_are_named_by_their_line_too(app: App, tmp_path: Path) -> None:
    text = '[\n{"email": "a@example.org",\n "created": 1},\n\n{"email": "nowhere", "created": 1}\n]'
    assert [row.line for row in imported(app, tmp_path, text).lines_refused] == [5]


def test_json_is_read_across_the_pieces_in_which_it_comes(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notify.audience.list_files.CHUNK", 64)
    rows = [{"email": f"user-{number}@example.org", "created": 1} for number in range(50)]
    assert imported(app, tmp_path, json.dumps(rows)).added == 50
    assert imported(app, tmp_path, "\n".join(map(json.dumps, rows)), "lines.json").unchanged == 50


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,age\nAda,36\n", "not a list of suppressions that is known; its columns are name, age"),
        ('[{"email": "a@example.org", "created": 1}, {"email": ]', r"line 1, column .*not readable as JSON"),
        ("[1, 2]", "line 1: expected an object"),
        ('address,reason\n"a@example.org"x,bounced\n', "line 2: not readable as CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_at_its_line(app: App, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(OperatorError, match=says):
        imported(app, tmp_path, text)


def test_an_export_holds_no_formula_and_is_imported_to_no_change(app: App, tmp_path: Path) -> None:
    notify.suppressions.add("+31612345678", channel="sms", note="=1+1")
    notify.suppressions.add(ADA, reason="unsubscribed", scope="newsletter", expires=SOON, note="'quoted'")
    notify.suppressions.add("eve@example.org", reason="complained")
    bury(app, "eve@example.org")
    out = io.StringIO()
    assert suppression_import.export(app, out) == 3
    cells = [cell for row in csv.reader(io.StringIO(out.getvalue())) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    again = imported(app, tmp_path, out.getvalue())
    assert (again.added, again.unchanged, again.refused) == (0, 3, 0)
    with app.store.begin() as connection:
        before = {one.suppression for one in suppressions.everything(connection, DEFAULT_ID)}
        connection.execute(sa.delete(tables.suppressions))
    imported(app, tmp_path, out.getvalue())
    with app.store.read() as connection:
        assert {one.suppression for one in suppressions.everything(connection, DEFAULT_ID)} == before


# the commands


def test_the_commands_tell_the_whole_story(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> None:
    install(monkeypatch, tmp_path, redis_url=redis_url)
    notify_cli("db", "upgrade")
    assert notify_cli("suppressions", "list").out == "No address is suppressed.\n"
    added = notify_cli("suppressions", "add", ADA, "--reason", "unsubscribed", "--scope", "news", "--note", "by phone")
    assert (added.code, added.out) == (0, "Suppressed.\n")
    assert notify_cli("suppressions", "add", "+31 6 12345678", "--channel", "sms").code == 0
    assert notify_cli("suppressions", "list", "--channel", "sms", "--json").json[0]["address"] == "+31612345678"
    assert notify_cli("suppressions", "show", "+31612345678", "--channel", "sms", "--json").json["channel"] == "sms"
    gone = notify_cli("suppressions", "remove", "+31612345678", "--channel", "sms", "--reason", "oops")
    assert gone.out == "Removed 1 suppression.\n"
    assert (
        "nothing was changed"
        in notify_cli("suppressions", "add", ADA, "--reason", "unsubscribed", "--scope", "news").out
    )
    shown = notify_cli("suppressions", "show", "ADA@example.org").out
    for part in ("news", "unsubscribed", "operator", "for ever", "by phone", "No recipient has it"):
        assert part in shown
    assert notify_cli("suppressions", "list", "--json").json[0]["address"] == ADA
    refused = notify_cli("suppressions", "remove", ADA, "--reason", "oops")
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert notify_cli("suppressions", "remove", ADA).code == 3
    removed = notify_cli("suppressions", "remove", ADA, "--reason", "oops", "--force", "--json")
    assert removed.json["removed"][0]["note"] == "by phone"
    Path("list.csv").write_text(SENDGRID_BOUNCES + ",,nowhere,\n")
    ran = notify_cli("suppressions", "import", "list.csv")
    assert ran.code == 1
    for part in ("line 7", "not an e-mail address", "line 3", "a soft bounce (4.2.2)", "a block (5.7.1)"):
        assert part in ran.out
    exported = notify_cli("suppressions", "export").out
    assert len(list(csv.DictReader(io.StringIO(exported)))) == 2
