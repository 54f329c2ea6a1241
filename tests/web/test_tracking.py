"""A pixel and a link answer at once, lead nowhere but where the mail led, and tell what was seen."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis import ConnectionError as AwayError

from notify import telemetry, web
from notify.app import App
from notify.channels.email import tracking as addresses
from notify.feedback import tracking
from notify.feedback.tracking import STREAM, Sighting
from notify.store import tracked_links
from notify.store.tenants import DEFAULT_ID
from notify.store.tracked_links import Target
from notify.web import spool
from notify.web.spool import Spool
from notify.web.tracking import PIXEL, location
from tests.processes import environment, notify_process, until
from tests.providers import free_port

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
SHOP = "https://shop.example/?a=1&b=2#top"
MESSAGE = UUID("0198c5f2-6d3b-7c1e-9a57-3f0d8e2b4a61")
ROOT = "https://notify.example.org"


@pytest.fixture
def paged(app: App, make_app: Callable[..., App]) -> App:
    """An App with pages, and one link that is stored."""
    with app.store.begin() as connection:
        target = Target(addresses.link_id(DEFAULT_ID, SHOP), DEFAULT_ID, None, SHOP)
        tracked_links.store(connection, [target], app.clock.now())
    return make_app(app.settings, public_url=ROOT)


def click_path(app: App, url: str = SHOP) -> str:
    secret = app.settings.secrets[0]
    return addresses.link("", secret, MESSAGE, addresses.link_id(DEFAULT_ID, url))


def open_path(app: App) -> str:
    return addresses.pixel("", app.settings.secrets[0], MESSAGE)


def ask(app: App, path: str, method: str = "GET", **headers: str) -> Response:
    given = {"User-Agent": BROWSER, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with TestClient(web.make(app), raise_server_exceptions=False, client=("192.0.2.7", 50000)) as client:
        return client.request(method, path, headers=given, follow_redirects=False)


def seen(app: App) -> list[dict[str, str]]:
    entries: Any = app.redis.xrange(STREAM)
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]


def test_a_click_leads_where_the_mail_led_and_is_seen(paged: App) -> None:
    answer = ask(paged, click_path(paged))
    assert (answer.status_code, answer.headers["Location"]) == (302, SHOP)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    [one] = seen(paged)
    assert (one["m"], one["l"]) == (MESSAGE.hex, addresses.link_id(DEFAULT_ID, SHOP).hex)
    assert "b" not in one


def test_a_pixel_is_one_dot_that_nobody_keeps(paged: App) -> None:
    answer = ask(paged, open_path(paged))
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, PIXEL, "image/gif")
    assert answer.headers["Cache-Control"] == "no-store"
    [one] = seen(paged)
    assert one["m"] == MESSAGE.hex
    assert "l" not in one


@pytest.mark.parametrize("what", ["forged", "cut", "changed", "swapped", "unknown", "long", "a url", "empty"])
def test_what_is_not_ours_is_not_found_and_leads_nowhere(paged: App, what: str) -> None:
    good = click_path(paged)
    path = {
        "forged": addresses.link("", "another secret", MESSAGE, addresses.link_id(DEFAULT_ID, SHOP)),
        "cut": good[:-1],
        "changed": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "swapped": good.replace("/c/", "/o/") + ".gif",
        "unknown": click_path(paged, "https://evil.example/"),
        "long": "/c/" + "a" * 5000,
        "a url": "/c/https:%2F%2Fevil.example%2F?url=https://evil.example/",
        "empty": "/c/",
    }[what]
    answer = ask(paged, path)
    assert answer.status_code == 404
    assert "Location" not in answer.headers
    assert "evil" not in answer.text
    assert seen(paged) == []


def test_only_get_and_head_are_answered(paged: App) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(paged, click_path(paged), method).status_code == 405
        assert ask(paged, open_path(paged), method).status_code == 405


def test_a_query_that_somebody_adds_changes_nothing(paged: App) -> None:
    answer = ask(paged, click_path(paged) + "?url=https://evil.example/&utm_source=x")
    assert answer.headers["Location"] == SHOP


def test_a_link_signed_with_an_old_secret_still_leads_there(paged: App, make_app: Callable[..., App]) -> None:
    path = click_path(paged)
    old = paged.settings.secret_key
    changed = make_app(paged.settings, secret_key=SecretStr("another" * 8), old_secret_keys=(old,))
    assert ask(changed, path).headers["Location"] == SHOP


@pytest.mark.parametrize(
    ("method", "headers", "why"),
    [
        ("HEAD", {}, "head"),
        ("GET", {"Sec_Purpose": "prefetch;prerender"}, "prefetch"),
        ("GET", {"Purpose": "prefetch"}, "prefetch"),
        ("GET", {"X_Moz": "prefetch"}, "prefetch"),
        ("GET", {"User_Agent": "Mozilla/5.0"}, "agent"),
        ("GET", {"User_Agent": ""}, "agent"),
        ("GET", {"User_Agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) (via ggpht.com GoogleImageProxy)"}, "agent"),
        ("GET", {"User_Agent": "BarracudaCentral LinkScanner"}, "agent"),
        ("GET", {}, None),
    ],
)
def test_a_machine_is_led_on_and_marked(paged: App, method: str, headers: dict[str, str], why: str | None) -> None:
    answer = ask(paged, click_path(paged), method, **headers)
    assert (answer.status_code, answer.headers["Location"]) == (302, SHOP)
    assert [one.get("b") for one in seen(paged)] == [why]


@pytest.mark.parametrize(("address", "why"), [("17.58.0.1", "network"), ("::ffff:17.58.0.1", "network"), ("x", None)])
def test_apples_network_is_known(paged: App, address: str, why: str | None) -> None:
    with TestClient(web.make(paged), client=(address, 1)) as client:
        client.get(open_path(paged), headers={"User-Agent": BROWSER})
    assert [one.get("b") for one in seen(paged)] == [why]


def test_while_the_database_is_away_a_known_link_leads_on(paged: App, make_app: Callable[..., App]) -> None:
    away = make_app(paged.settings, database_url=SecretStr("postgresql://notify:hunter2@127.0.0.1:1/notify"))
    assert ask(away, click_path(paged)).status_code == 503
    assert ask(paged, click_path(paged)).status_code == 302
    assert ask(away, click_path(paged)).headers["Location"] == SHOP


def test_while_redis_is_away_a_link_leads_on_and_the_loss_is_told(
    paged: App, make_app: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "FAREWELL_SECONDS", 0.1)
    away = make_app(paged.settings, redis_url=SecretStr("redis://127.0.0.1:1/0"))
    told: list[tuple[str, object]] = []
    monkeypatch.setattr(spool, "emit", lambda event, **facts: told.append((event, facts.get("sightings"))))
    assert ask(away, click_path(paged)).headers["Location"] == SHOP
    assert told == [("tracking.delayed", None), ("tracking.lost", 1)]
    assert {event for event, _ in told} <= telemetry.EVENTS.keys()


# the spool


def make(count: int) -> list[Sighting]:
    return [Sighting(uuid4(), MESSAGE, datetime.now(UTC)) for _ in range(count)]


class Keeper:
    """Keeps what it is given, unless it is away."""

    def __init__(self, away: int = 0) -> None:
        self.kept: list[Sighting] = []
        self.away = away

    def __call__(self, seen: Sequence[Sighting]) -> int:
        if self.away:
            self.away -= 1
            raise AwayError
        self.kept += seen
        return 0


def test_what_could_not_be_written_is_written_when_redis_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0.01)
    keeper = Keeper(away=2)

    async def three() -> None:
        spooled = Spool(keeper)
        await asyncio.gather(*(spooled.add(one) for one in some))
        await spooled.close()

    some = make(3)
    asyncio.run(three())
    assert keeper.kept == some


def test_more_than_is_kept_meanwhile_is_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_WAITING", 5)
    monkeypatch.setattr(spool, "FAREWELL_SECONDS", 0.05)
    lost: list[object] = []
    monkeypatch.setattr(spool, "emit", lambda event, **facts: lost.append(facts.get("sightings")))
    keeper = Keeper(away=1000)

    async def seven() -> None:
        spooled = Spool(keeper)
        await asyncio.gather(*(spooled.add(one) for one in make(7)))
        await spooled.close()

    asyncio.run(seven())
    assert sum(count for count in lost if isinstance(count, int)) == 7
    assert keeper.kept == []


def test_sightings_whose_write_fails_otherwise_are_counted_and_the_next_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(spool, "emit", lambda event, **facts: told.append((event, facts)))
    kept: list[Sighting] = []

    def broken_at_first(seen: Sequence[Sighting]) -> int:
        if not told:
            raise ValueError("of no use")
        kept.extend(seen)
        return 0

    async def three_and_two() -> None:
        spooled = Spool(broken_at_first)
        await asyncio.gather(*(spooled.add(one) for one in some[:3]))
        await asyncio.gather(*(spooled.add(one) for one in some[3:]))
        await spooled.close()

    some = make(5)
    asyncio.run(three_and_two())
    assert told == [("tracking.lost", {"reason": "failed", "sightings": 3, "error": "ValueError"})]
    assert kept == some[3:]


# where a link leads, as a header says it


URLS = st.builds(
    "{}://{}/{}?{}#{}".format,
    st.sampled_from(["https", "HTTP"]),
    st.sampled_from(["example.org", "bücher.example:8080", "user@example.org", "xn--bcher-kva.example", "☃.example"]),
    *[st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\0%"), max_size=15)] * 3,
)


@given(URLS)
@example("https://example.org/ü?q=a b&c=\x7f#é")
def test_a_location_is_one_line_of_ascii_that_leads_to_the_same(url: str) -> None:
    found = location(url)
    assert re.fullmatch(r"[!-~]+", found)
    if url.isascii() and re.fullmatch(r"[!-~]+", url):
        assert found == url
    scheme, _, rest = url.partition("://")
    path = rest[re.search(r"[/?#\\]|$", rest).start() :]  # type: ignore[union-attr]
    assert unquote(found).endswith(path)
    assert found.startswith(f"{scheme}://")


def test_a_host_is_written_as_the_name_system_has_it() -> None:
    assert location("https://bücher.example/ß") == "https://xn--bcher-kva.example/%C3%9F"


# a real process


@pytest.fixture
def running(paged: App, tmp_path: Path) -> Iterator[str]:
    """The address of a real `notify web` of that App."""
    port = free_port()
    with notify_process(
        "web", "--port", str(port), env=environment(paged.settings, NOTIFY_PUBLIC_URL=ROOT), cwd=tmp_path
    ):
        until(lambda: listens(port), 60, "the web process answers")
        yield f"http://127.0.0.1:{port}"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_many_at_once_are_all_seen_and_none_is_lost_when_the_process_stops(paged: App, running: str) -> None:
    def click(_: int) -> int:
        return httpx2.get(running + click_path(paged), headers={"User-Agent": BROWSER}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(click, range(60))) == {302}
    assert len(seen(paged)) == 60
    assert len({one["e"] for one in seen(paged)}) == 60
    assert tracking.drain(paged, 5) == 60
