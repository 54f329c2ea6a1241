"""Who agreed is known by their own address behind a proxy that is trusted, and nobody can write another one there."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from notify.app import App
from notify.model import Consent
from notify.store import tables
from tests.processes import environment, notify_process, until
from tests.providers import free_port
from tests.web.people import confirm_path

READER, PROXY = "203.0.113.7", "192.0.2.1"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it is about addresses
@pytest.mark.parametrize(
    ("trusted", "forwarded", "noted"),
    [
        ("127.0.0.1", READER, READER),
        (f"127.0.0.0/8,{PROXY}", f"198.51.100.1, {READER}, {PROXY}", READER),
        (PROXY, READER, "127.0.0.1"),
        ("", READER, "127.0.0.1"),
    ],
    ids=["a proxy", "two proxies, and a reader who lies", "a stranger", "nobody is trusted"],
)
def test_the_proof_of_consent_is_the_address_that_a_trusted_proxy_names(
    asking: App, asked: Consent, tmp_path: Path, *, trusted: str, forwarded: str, noted: str
) -> None:
    port = free_port()
    more = {"NOTIFY_PUBLIC_URL": "https://notify.example.org", "NOTIFY_TRUSTED_PROXIES": trusted}
    root = f"http://127.0.0.1:{port}"
    with notify_process("web", "--port", str(port), env=environment(asking.settings, **more), cwd=tmp_path):
        until(lambda: answers(f"{root}/health"), 60, "the web process answers")
        said = httpx2.post(root + confirm_path(asking, asked), headers={"X-Forwarded-For": forwarded}, timeout=60)
    assert said.status_code == 200
    with asking.store.read() as connection:
        query = sa.select(tables.consents.c.proof).where(tables.consents.c.action == "granted")
        assert connection.execute(query).scalar_one()["ip"] == noted


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False
