"""From a kind's declaration to the header: what the mail's token names is the message and its recipient."""

from __future__ import annotations

import email
import email.policy
import quopri
import re
from collections.abc import Callable
from pathlib import Path

import notify
from notify.app import App, using
from notify.audience import links
from notify.channels.email import unsubscribe
from notify.delivery.lease import claim
from notify.delivery.prepare import Preparation
from notify.store import messages, tenants
from tests.kinds import make_kind

ADA = {"key": "ada", "email": "ada@example.org"}
URL = "https://app.example.org/unsubscribe"


def list_headers(content: bytes) -> dict[str, str]:
    found = email.message_from_bytes(content, policy=email.policy.default)
    return {name: str(value) for name, value in found.items() if name.startswith("List-")}


def prepared(app: App) -> bytes:
    with app.store.read() as connection:
        [row] = messages.listing(connection, tenants.DEFAULT_ID)
    assert row.message.batch_id is not None
    lease = claim(app, row.message.batch_id, "test")
    assert lease is not None
    return Preparation(app)(lease.work[0], app.clock.now()).envelope.content


def test_a_mail_that_can_be_left_names_its_message_and_recipient(
    app: App, make_app: Callable[..., App], templates: Path
) -> None:
    make_kind(templates, "news", toml="unsubscribe = true")
    app = make_app(app.settings, unsubscribe_url=URL)
    with using(app):
        notify.send("news", to=ADA)
    headers = list_headers(prepared(app))
    token = re.fullmatch(rf"<{URL}\?token=(.+)>", headers["List-Unsubscribe"])
    assert token
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    with app.store.read() as connection:
        [row] = messages.listing(connection, tenants.DEFAULT_ID)
    found = unsubscribe.verify(app.settings.secret_key.get_secret_value(), token[1])
    assert found == (row.message.id, row.message.recipient_id)


def test_a_mail_of_another_kind_cannot(app: App, make_app: Callable[..., App], templates: Path) -> None:
    make_kind(templates, "code")
    app = make_app(app.settings, unsubscribe_url=URL)
    with using(app):
        notify.send("code", to=ADA)
    assert list_headers(prepared(app)) == {}


def test_the_token_of_a_preview_names_nobody(app: App, make_app: Callable[..., App], templates: Path) -> None:
    make_kind(templates, "news", toml="unsubscribe = true")
    with using(make_app(app.settings, unsubscribe_url=URL)):
        notify.send("news", to=ADA)
        token = list_headers(notify.preview("news", to="ada").eml)["List-Unsubscribe"].partition("token=")[2]
    found = unsubscribe.verify(app.settings.secret_key.get_secret_value(), token.rstrip(">"))
    assert found is not None
    assert found.message_id.int == found.recipient_id.int == 0


PAGES = "https://notify.example.org"
LINKS = (
    "<html lang='en'><body>{% if unsubscribe_url %}[{{ unsubscribe_url }}]{% endif %}"
    "{{ preferences_url }}</body></html>"
)


def test_without_an_endpoint_of_the_operators_own_the_page_of_notify_is_named(
    app: App, make_app: Callable[..., App], templates: Path
) -> None:
    make_kind(templates, "news", toml="unsubscribe = true")
    app = make_app(app.settings, public_url=PAGES)
    with using(app):
        notify.send("news", to=ADA)
    assert list_headers(prepared(app))["List-Unsubscribe"].startswith(f"<{PAGES}/unsubscribe?token=")


def test_a_template_may_print_the_links_of_the_recipient(
    app: App, make_app: Callable[..., App], templates: Path
) -> None:
    make_kind(templates, "news", html=LINKS)
    app = make_app(app.settings, public_url=PAGES)
    with using(app):
        notify.send("news", to=ADA)
    first, again = prepared_parts(app)
    assert first == again, "the same mail has the same links"
    unsubscribed = re.search(rf"\[{PAGES}/unsubscribe\?token=([^\]]+)\]", first)
    preferences = re.search(rf"{PAGES}/preferences\?token=([\w.-]+)", first)
    assert unsubscribed
    assert preferences
    with app.store.read() as connection:
        [row] = messages.listing(connection, tenants.DEFAULT_ID)
    assert links.verify(app, "unsubscribe", unsubscribed[1]) == (row.message.id, row.message.recipient_id)
    assert links.verify(app, "preferences", preferences[1]) == (row.message.recipient_id,)


def prepared_parts(app: App) -> tuple[str, str]:
    """The text of the one mail that waits, prepared twice."""
    with app.store.read() as connection:
        [row] = messages.listing(connection, tenants.DEFAULT_ID)
    assert row.message.batch_id is not None
    lease = claim(app, row.message.batch_id, "test")
    assert lease is not None
    found = [
        email.message_from_bytes(Preparation(app)(lease.work[0], app.clock.now()).envelope.content) for _ in range(2)
    ]
    first, again = (str(next(mail.walk()).get_payload(0)) for mail in found)
    first, again = (quopri.decodestring(part.encode()).decode() for part in (first, again))
    return first, again


def test_a_required_kind_has_no_link_to_leave_it(app: App, make_app: Callable[..., App], templates: Path) -> None:
    html = "<html lang='en'><body>{{ unsubscribe_url or 'no link' }}</body></html>"
    make_kind(templates, "code", toml="unsubscribe = true\nrequired = true", html=html)
    app = make_app(app.settings, public_url=PAGES)
    with using(app):
        notify.send("code", to=ADA)
    content = prepared(app)
    assert list_headers(content) == {}
    assert b"no link" in content


def test_without_pages_there_are_no_links(app: App, templates: Path) -> None:
    make_kind(templates, "news", toml="unsubscribe = true", html=LINKS.replace("{{ preferences_url }}", "none"))
    with using(app):
        notify.send("news", to=ADA)
    content = prepared(app)
    assert list_headers(content) == {}
    assert b"token" not in content
