"""No log line, no Sentry report and nothing in the broker tells who is written to, whatever goes wrong on the way."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from redis import Redis

from notify.settings import Settings
from tests.kinds import make_kind
from tests.providers import Moody

ADDRESS, PHONE = "canary.quokka@example.org", "+31612345678"
SIGNS = ("quokka", "zoë", "zoe", "example.org", "brittlebush", "31612345678")
TELLING = "{{ recipient.name }} {{ recipient.address }}"

PROGRAM = """
    import json, logging, sys
    from datetime import timedelta
    import sentry_sdk
    from sentry_sdk.transport import Transport
    import sqlalchemy as sa
    import notify
    from notify import telemetry
    from notify.app import open_app, using
    from notify.broker import Bell
    from notify.delivery import Worker, relay, sweep
    from notify.errors import NotifyError
    from notify.store import tables, recipients
    from notify.settings import load
    from tests.drain import drain

    ADDRESS, PHONE, PORTS = json.loads(sys.argv[1])

    class Kept(Transport):
        events = []
        def capture_envelope(self, envelope):
            self.events += [item.payload.json for item in envelope.items if item.payload.json]

    app = open_app(load(None))
    telemetry.start(app.settings)
    sentry_sdk.get_client().transport = Kept()

    def failing(work):
        try:
            work()
        except Exception as error:
            logging.getLogger("celery").exception("a task failed")
            sentry_sdk.capture_exception(error)
        else:
            raise SystemExit("it should have failed")

    def zoe(number, kind="hello", **more):
        return notify.send(kind, {"key": f"k{number}", "email": f"{number}.{ADDRESS}", "name": "Zoë Quokka",
                                  "attributes": {"plant": "brittlebush"}, **more}, {"word": "Brittlebush"})

    with using(app):
        failing(lambda: notify.send("hello", {"key": "k", "email": "canary.quokka@example.org@example.org"}))
        for number in range(4):
            zoe(number)
        for kind in ("undefined", "crashing"):
            zoe(kind, kind)
        zoe(9)
        notify.suppressions.add(f"9.{ADDRESS}")
        notify.suppressions.add(PHONE, channel="sms", note="Zoë Quokka rang")
        drain(app)
        relay(app)
        sweep(app)

        def twice():
            with app.store.begin() as connection:
                row = connection.execute(sa.select(tables.addresses).limit(1)).one()._mapping
                connection.execute(sa.insert(tables.addresses), dict(row))

        failing(twice)

        def lost():
            raise ConnectionError(f"cannot reach https://api/?to=canary.quokka%40example.org&call={PHONE} now")

        failing(lost)
        notify.privacy.erase("k1", "asked")
    logging.getLogger("notify").debug("sent to %s", ADDRESS)
    print(json.dumps(Kept.events))
"""


def test_neither_log_nor_sentry_nor_broker_tells_of_anybody(
    settings: Settings, tmp_path: Path, templates: Path, redis_url: str
) -> None:
    make_kind(templates, html=f"<html lang='en'><body>{{{{ word }}}} {TELLING}</body></html>")
    make_kind(templates, "undefined", html="<html lang='en'><body>{{ {}[recipient.name].x }}</body></html>")
    make_kind(templates, "crashing", html="<html lang='en'><body>{{ recipient.name / recipient.plant }}</body></html>")
    redis = Redis.from_url(redis_url)
    redis.flushall()
    refusals = {
        f"1.{ADDRESS}": f"550 5.1.1 <1.{ADDRESS}>: Zoe Quokka is unknown here",
        f"2.{ADDRESS}": f"451 4.3.0 {ADDRESS} Quokka try later",
        f"3.{ADDRESS}": "554 5.7.1 blocked: Quokka",
    }
    with Moody(tmp_path / "moody", rcpt=refusals) as server:
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), json.dumps([ADDRESS, PHONE, server.port])],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=Path(__file__).parents[2],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "SENTRY_"))},
                "NOTIFY_DATABASE_URL": settings.database,
                "NOTIFY_REDIS_URL": redis_url,
                "NOTIFY_DATA_DIR": str(tmp_path / "data"),
                "NOTIFY_TEMPLATES_DIR": str(templates),
                "NOTIFY_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{server.port}",
                "NOTIFY_EMAIL_FROM": "us@notify.invalid.net",
                "NOTIFY_LOG_LEVEL": "DEBUG",
                "NOTIFY_LOG_FORMAT": "json",
                "NOTIFY_SENTRY_DSN": "https://key@sentry.invalid/1",
            },
        )
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)) == 3
    events = {json.loads(line)["event"] for line in ran.stderr.splitlines() if line.startswith("{")}
    assert {"message.dead", "message.deferred", "message.skipped", "a task failed", "recipient.erased"} <= events
    broker = _dump(redis)
    for name, text in (("log", ran.stderr), ("Sentry", ran.stdout), ("broker", broker)):
        for sign in SIGNS:
            assert sign not in text.casefold(), _around(name, text, sign)


def _dump(redis: Any) -> str:
    """Every key and its value, and what Celery's messages hold in Base64."""
    read = {
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"string": redis.get,
    }
    text = "\n".join(f"{key!r} {read[redis.type(key)](key)!r}" for key in redis.keys("*"))
    bodies = [base64.b64decode(body).decode() for body in re.findall(r'"body": ?"([\w+/=]+)"', text)]
    assert bodies, "the broker was rung"
    return "\n".join([text, *bodies])


def _around(name: str, text: str, sign: str) -> str:
    at = text.casefold().find(sign)
    return f"{name} tells {sign!r}: …{text[max(at - 300, 0) : at + 100]}…"
