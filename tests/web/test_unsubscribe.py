"""Leaving by a link: looking does nothing, one click leaves a category, an undo takes back only what it did."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from notify import web
from notify.app import App
from notify.audience import links
from notify.model import Channel, Suppression
from notify.settings import load
from notify.store import suppressions, tables, tenants
from tests.kinds import make_kind
from tests.web.people import headings, reaches, rows, suppressed, unsubscribe_path, written_to

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def app(app: App, templates: Path) -> App:
    """An App with a newsletter of two kinds, an alert of another category, and one that is required."""
    for name, category, more in (
        ("news", "newsletter", "unsubscribe = true"),
        ("offers", "newsletter", "unsubscribe = true"),
        ("job-failed", "alerts", ""),
        ("new-password", "account", "required = true"),
    ):
        folder = make_kind(templates, name, toml=more)
        toml = (folder / "kind.toml").read_text().replace('category = "test"', f'category = "{category}"')
        (folder / "kind.toml").write_text(toml)
    return app


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(web.make(app), raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def test_looking_at_the_page_changes_nothing(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    before = [rows(app, table) for table in tables.metadata.sorted_tables]
    for _ in range(2):
        page = client.get(path)
        assert (page.status_code, headings(page.text)) == (200, ["Unsubscribe"])
    assert client.head(path).status_code == 200
    assert [rows(app, table) for table in tables.metadata.sorted_tables] == before


def test_one_click_leaves_the_category_at_once_and_nothing_else(app: App, client: TestClient) -> None:
    answer = client.post(unsubscribe_path(app), data=ONE_CLICK)
    assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)
    assert suppressed(app) == [("ada@example.org", "newsletter", "unsubscribed", "one-click")]
    assert not reaches(app, "news")
    assert not reaches(app, "offers")
    assert reaches(app, "job-failed")
    assert reaches(app, "new-password")


def test_one_click_may_come_as_a_multipart_form(app: App, client: TestClient) -> None:
    answer = client.post(unsubscribe_path(app), files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert not reaches(app, "news")


def test_a_click_that_comes_twice_counts_once(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    assert [client.post(path, data=ONE_CLICK).status_code for _ in range(3)] == [200, 200, 200]
    assert [len(rows(app, table)) for table in (tables.suppressions, tables.events)] == [1, 1]
    assert len([row for row in rows(app, tables.recipient_changes) if row.source == "page"]) == 1
    assert len([row for row in rows(app, tables.audit) if row.action == "recipient.unsubscribe"]) == 1


@pytest.mark.parametrize("body", [{}, {"List-Unsubscribe": "one"}, {"scope": "nothing"}, {"x": "y"}])
def test_a_post_that_says_nothing_we_know_does_nothing(app: App, client: TestClient, body: dict[str, str]) -> None:
    page = client.post(unsubscribe_path(app), data=body)
    assert page.status_code == 400
    assert "Choose what you would like to stop." in page.text
    assert suppressed(app) == []


@pytest.mark.parametrize(
    ("scope", "stored", "still"),
    [
        ("kind", "kind:news", {"offers", "job-failed", "new-password"}),
        ("category", "newsletter", {"job-failed", "new-password"}),
        ("all", "all", {"new-password"}),
    ],
)
def test_the_page_leaves_as_much_as_was_chosen(
    app: App, client: TestClient, scope: str, stored: str, still: set[str]
) -> None:
    page = client.post(unsubscribe_path(app), data={"scope": scope})
    assert (page.status_code, headings(page.text)) == (200, ["You are unsubscribed"])
    assert suppressed(app) == [("ada@example.org", stored, "unsubscribed", "page")]
    assert {kind for kind in ("news", "offers", "job-failed", "new-password") if reaches(app, kind)} == still


def test_who_left_is_told_so_when_they_look_again(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    client.post(path, data=ONE_CLICK)
    page = client.get(path)
    assert headings(page.text) == ["You are unsubscribed"]
    assert "Undo" in page.text


def test_an_undo_takes_back_what_was_left_by_this_link(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    client.post(path, data={"scope": "kind"})
    client.post(path, data={"scope": "all"})
    page = client.post(path, data={"undo": "1"})
    assert headings(page.text) == ["Your choice was taken back"]
    assert suppressed(app) == []
    assert reaches(app, "news")
    assert headings(client.post(path, data={"scope": "kind"}).text) == ["You are unsubscribed"]
    assert not reaches(app, "news")


def forbid(app: App, reason: str, scope: str, expires: timedelta | None = None) -> None:
    until = None if expires is None else app.clock.now() + expires
    row = Suppression(Channel.EMAIL, "ada@example.org", reason, "feedback", scope, until)
    with app.store.begin() as connection:
        suppressions.add(connection, tenants.DEFAULT_ID, [row], app.clock.now())


@pytest.mark.parametrize(
    ("reason", "scope", "expires"),
    [
        ("bounced", "all", None),
        ("bounced", "all", timedelta(days=1)),
        ("complained", "all", None),
        ("complained", "newsletter", None),
        ("unsubscribed", "newsletter", None),
    ],
)
def test_an_undo_never_takes_back_what_another_found(
    app: App, client: TestClient, reason: str, scope: str, expires: timedelta | None
) -> None:
    path = unsubscribe_path(app)
    forbid(app, reason, scope, expires)
    before = rows(app, tables.suppressions)
    client.post(path, data={"scope": "category"})
    client.post(path, data={"scope": "all"})
    client.post(path, data={"undo": "1"})
    after = rows(app, tables.suppressions)
    assert [row[1:] for row in after] == [row[1:] for row in before]


def test_a_persons_own_word_stands_beside_a_bounce_and_has_no_end(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    forbid(app, "bounced", "all", timedelta(days=1))
    forbid(app, "unsubscribed", "all", timedelta(days=1))
    client.post(path, data={"scope": "all"})
    stands = {(row.reason, row.source, row.expires_at is None) for row in rows(app, tables.suppressions)}
    assert stands == {("bounced", "feedback", False), ("unsubscribed", "page", True)}


def test_why_somebody_left_is_kept(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    client.post(path, data={"scope": "category", "reason": "too_many", "note": "  Twice\0 a\r\nday!  " + "x" * 600})
    [change] = [row for row in rows(app, tables.recipient_changes) if row.source == "page"]
    assert change.reason.startswith("too_many: Twice a day! x")
    assert len(change.reason) < 520
    assert (change.actor, change.source) == (f"recipient:{change.recipient_id}", "page")
    assert change.changes == {"suppressed.email.newsletter": [None, "unsubscribed"]}
    [kept] = rows(app, tables.suppressions)
    assert kept.note == change.reason


def test_leaving_is_an_event_of_the_message(app: App, client: TestClient) -> None:
    message_id, recipient_id = written_to(app, "news")
    client.post(f"/unsubscribe?token={links.sign(app, 'unsubscribe', message_id, recipient_id)}", data=ONE_CLICK)
    [event] = rows(app, tables.events)
    assert (event.type, event.provider, event.message_id) == ("unsubscribed", "notify", message_id)
    assert (event.recipient_id, event.address) == (recipient_id, None)


def test_who_moved_to_another_address_is_left_alone_there_too(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    written_to(app, "job-failed", {"key": "ada", "email": "ada@new.example.org"})
    client.post(path, data=ONE_CLICK)
    assert [address for address, *_ in suppressed(app)] == ["ada@example.org", "ada@new.example.org"]
    assert not reaches(app, "news")


def test_a_mail_that_is_required_says_why_it_cannot_be_left(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app, "new-password")
    page = client.get(path)
    assert (page.status_code, headings(page.text)) == (200, ["This mail cannot be turned off"])
    assert "<form" not in page.text
    assert [client.post(path, data=body).status_code for body in (ONE_CLICK, {"scope": "all"})] == [403, 403]
    assert suppressed(app) == []


def test_a_mail_whose_kind_is_no_more_can_be_left_all_the_same(
    app: App, client: TestClient, templates: Path, make_app: Callable[..., App]
) -> None:
    path = unsubscribe_path(app)
    (templates / "news" / "kind.toml").unlink()
    with TestClient(web.make(make_app(app.settings))) as fresh:
        assert headings(fresh.get(path).text) == ["Unsubscribe"]
        assert fresh.post(path, data=ONE_CLICK).status_code == 200
    assert suppressed(app) == [("ada@example.org", "all", "unsubscribed", "one-click")]


# links that open nothing


def test_a_link_that_is_not_ours_says_what_to_do(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    for wrong in ("/unsubscribe", "/unsubscribe?token=", path[:-1], path + "A", "/unsubscribe?token=" + "x" * 5000):
        for answer in (client.get(wrong), client.post(wrong, data=ONE_CLICK), client.post(wrong, data={"undo": "1"})):
            assert (answer.status_code, headings(answer.text)) == (400, ["This link does not work"])
    assert suppressed(app) == []


def test_the_link_of_somebody_erased_or_unknown_says_the_same(app: App, client: TestClient) -> None:
    message_id, recipient_id = written_to(app, "news")
    unknown = client.get(f"/unsubscribe?token={links.sign(app, 'unsubscribe', message_id, message_id)}")
    with app.store.begin() as connection:
        gone = sa.update(tables.recipients).values(erased_at=app.clock.now())
        connection.execute(gone)
    erased = client.get(f"/unsubscribe?token={links.sign(app, 'unsubscribe', message_id, recipient_id)}")
    assert (unknown.status_code, erased.status_code) == (410, 410)
    assert unknown.text == erased.text
    assert headings(erased.text) == ["This link is no longer valid"]


def test_a_body_that_is_too_long_or_no_form_is_refused(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    assert client.post(path, data={"note": "x" * 20_000}).status_code == 413
    assert client.post(path, json=ONE_CLICK).status_code == 415
    many = "&".join(f"a{n}=1" for n in range(300))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(path, content=many, headers=form).status_code == 400
    assert client.post(path, content="é=1".encode(), headers=form).status_code == 400
    assert suppressed(app) == []


def test_a_database_that_is_away_asks_for_another_try(tmp_path: Path, make_app: Callable[..., App]) -> None:
    away = "postgresql://notify:hunter2@127.0.0.1:1/notify"
    app = make_app(load(None, data_dir=tmp_path, database_url=away))
    token = links.sign(app, "unsubscribe", tenants.DEFAULT_ID, tenants.DEFAULT_ID)
    with TestClient(web.make(app), raise_server_exceptions=False) as client:
        for answer in (
            client.get(f"/unsubscribe?token={token}"),
            client.post(f"/unsubscribe?token={token}", data=ONE_CLICK),
        ):
            assert (answer.status_code, headings(answer.text)) == (503, ["One moment, please"])
            assert int(answer.headers["retry-after"]) > 0
            assert "hunter2" not in answer.text
            assert "127.0.0.1" not in answer.text


# keys


def test_a_link_of_before_the_keys_changed_still_works(app: App, make_app: Callable[..., App]) -> None:
    path = unsubscribe_path(app)
    fresh = {"secret_key": SecretStr("n" * 40)}
    with TestClient(web.make(make_app(app.settings, **fresh))) as client:
        assert client.get(path).status_code == 400
    with TestClient(web.make(make_app(app.settings, **fresh, old_secret_keys=(app.settings.secret_key,)))) as client:
        assert client.post(path, data=ONE_CLICK).status_code == 200
    assert not reaches(app, "news")


# the predecessor's links


def legacy(address: str, secret: str = "amazon", *, over_text: bool = False) -> str:
    payload = base64.urlsafe_b64encode(address.lower().encode()).decode().rstrip("=")
    signed = payload.encode() if over_text else address.lower().encode()
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"/unsubscribe?token={payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.fixture
def successor(app: App, make_app: Callable[..., App]) -> Iterator[TestClient]:
    """A server that honours the predecessor's links."""
    with TestClient(web.make(make_app(app.settings, legacy_unsubscribe_secret=SecretStr("amazon")))) as client:
        yield client


@pytest.mark.parametrize("over_text", [False, True])
def test_a_link_of_the_predecessor_leaves_everything(app: App, successor: TestClient, over_text: bool) -> None:
    written_to(app, "news")
    path = legacy("ada@example.org", over_text=over_text)
    assert headings(successor.get(path).text) == ["Unsubscribe"]
    assert suppressed(app) == []
    assert headings(successor.post(path, data={"scope": "all"}).text) == ["You are unsubscribed"]
    assert not reaches(app, "news")
    assert headings(successor.get(path).text) == ["You are unsubscribed"]
    successor.post(path, data={"undo": "1"})
    assert reaches(app, "news")


def test_a_link_of_the_predecessor_can_be_clicked_once_too(app: App, successor: TestClient) -> None:
    assert successor.post(legacy("ada@example.org"), data=ONE_CLICK).status_code == 200
    assert suppressed(app) == [("ada@example.org", "all", "unsubscribed", "one-click")]


def test_a_link_of_the_predecessor_tells_nothing_of_whether_the_address_is_known(
    app: App, successor: TestClient
) -> None:
    written_to(app, "news")
    known, unknown = legacy("ada@example.org"), legacy("bob@example.org")
    for ask in (successor.get, lambda path: successor.post(path, data={"scope": "all"})):
        assert ask(known).text == ask(unknown).text
    assert [address for address, *_ in suppressed(app)] == ["ada@example.org", "bob@example.org"]


def test_a_link_of_the_predecessor_is_forged_without_its_secret(client: TestClient, successor: TestClient) -> None:
    assert client.get(legacy("ada@example.org")).status_code == 400
    assert successor.get(legacy("ada@example.org", "other")).status_code == 400
    assert successor.get(legacy("ada@example.org")[:-1]).status_code == 400


# words


@pytest.mark.parametrize(
    ("locale", "accept", "title"),
    [
        ("nl-BE", "fr", "Afmelden"),
        (None, "de, fr-CH;q=0.8, nl;q=0.5", "Se désabonner"),
        (None, "cs", "Odhlásit se"),
        (None, "de", "Unsubscribe"),
        ("ja", "*;q=nonsense,,;", "Unsubscribe"),
    ],
)
def test_the_page_speaks_the_persons_language(
    app: App, client: TestClient, locale: str | None, accept: str, title: str
) -> None:
    to = {"key": "ada", "email": "ada@example.org", **({"locale": locale} if locale else {})}
    page = client.get(unsubscribe_path(app, to=to), headers={"Accept-Language": accept})
    assert headings(page.text) == [title]
    assert f'<html lang="{page.headers["content-language"]}" dir="ltr">' in page.text


def test_a_page_lets_nothing_else_run_and_is_kept_nowhere(app: App, client: TestClient) -> None:
    path = unsubscribe_path(app)
    for answer in (client.get(path), client.post(path, data={"scope": "all"}), client.get("/unsubscribe?token=x")):
        said = answer.headers
        assert said["content-security-policy"].startswith("default-src 'none'; style-src 'self'; form-action 'self'")
        assert (said["referrer-policy"], said["cache-control"]) == ("no-referrer", "no-store")
        assert said["x-robots-tag"].startswith("noindex")
        assert "<script" not in answer.text
        assert "ada@" not in answer.text.lower()
