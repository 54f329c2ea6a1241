"""Tasks that cannot even run: a worker lives on, and they are found among the dead letters."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from kombu import Connection

import notify
from notify.app import App
from notify.delivery import replay, status
from notify.delivery.replay import Terms
from notify.dev.mailbox import Mailbox
from notify.model import DeadLetter, ErrorClass, Filter
from notify.settings import Settings
from notify.store import dead_letters
from notify.store.tenants import DEFAULT_ID
from notify.tasks.unrunnable import LONGEST
from tests.kinds import make_kind
from tests.processes import environment, notify_process, until
from tests.proxy import Proxy

Push = Callable[..., None]
HEADERS = {"id": "a", "lang": "py", "root_id": "a", "parent_id": None, "group": None, "argsrepr": "", "kwargsrepr": ""}
EMBED: dict[str, Any] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
NO_ARGUMENTS, TOO_LARGE = json.dumps([[], {}, EMBED]), json.dumps([["x" * LONGEST], {}, EMBED])
PICKLE = {"content_type": "application/x-python-serialize"}
GARBAGE: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("unknown_task", NO_ARGUMENTS, "notify.nonsense", {}),
    ("unknown_task", NO_ARGUMENTS, "notify.\0nonsense", {}),
    ("unknown_task", NO_ARGUMENTS, "notify.\ud800nonsense", {}),
    ("unknown_task", json.dumps({"task": "notify.old", "id": "b", "args": [], "kwargs": {}}), None, {}),
    ("no_task", json.dumps({"some": "thing"}), None, {}),
    ("undecodable", "this is not JSON", "notify.deliver", {}),
    ("undecodable", "cos\nsystem\n(S'true'\ntR.", "notify.deliver", PICKLE),
    ("undecodable", "5", "notify.deliver", {}),
    ("wrong_arguments", "[1, 2, 3]", "notify.deliver", {}),
    ("wrong_arguments", NO_ARGUMENTS, "notify.deliver", {}),
    ("wrong_arguments", json.dumps([["no-uuid"], {}, EMBED]), "notify.deliver", {}),
    ("wrong_arguments", json.dumps([[1], {"more": 2}, EMBED]), "notify.relay", {}),
    ("wrong_arguments", TOO_LARGE, "notify.deliver", {}),
]


@pytest.fixture
def push(app: App) -> Iterator[Push]:
    """Puts a message into a queue as any program could."""
    options = {"global_keyprefix": "notify:"}
    with Connection(app.settings.broker, transport_options=options) as connection:
        producer = connection.Producer()

        def put(body: str, task: str | None = None, **more: Any) -> None:
            headers = {**HEADERS, "task": task} if task else {}
            told = {"content_type": "application/json", "content_encoding": "utf-8", **more}
            producer.publish(body, exchange="", routing_key="email.normal", headers=headers, **told)

        yield put


@pytest.fixture
def brisk(settings: Settings, templates: Path) -> Settings:
    make_kind(templates)
    return settings.model_copy(update={"lease_seconds": 2.0, "republish_seconds": 2.0})


def buried(app: App) -> list[DeadLetter]:
    return list(dead_letters.every(app.store, DEFAULT_ID, Filter(error=ErrorClass.TASK)))


def test_what_can_never_run_is_a_dead_letter_and_hurts_nobody(
    app: App, brisk: Settings, push: Push, mailbox: Mailbox, tmp_path: Path
) -> None:
    for _, body, task, options in GARBAGE:
        push(body, task, **options)
    notify.send("hello", to={"key": "ada", "email": "ada@example.org"})
    with notify_process("worker", env=environment(brisk), cwd=tmp_path) as worker:
        until(lambda: len(buried(app)) == len(GARBAGE), 30, "each a dead letter")
        until(lambda: mailbox.count == 1, 30, "the mail behind them caught")
        until(lambda: not app.redis.hlen("notify:unacked"), 60, "everything acknowledged")
        assert worker.poll() is None
    assert Counter(one.death.reason for one in buried(app)) == Counter(reason for reason, *_ in GARBAGE)
    assert all(len(letter.death.payload or "") <= LONGEST for letter in buried(app))
    assert "Traceback" not in (tmp_path / "worker.log").read_text()


NO_MESSAGES = (
    *(
        b"",
        b"garbage",
        b"5",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"body": "x", "properties": {}}',
    ),
    *(b'{"body": "x", "headers": 5, "properties": {"delivery_tag": "t", "delivery_info": {}}}',),
    *(b'{"body": "x", "headers": {}, "properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "?"}}',),
)


def test_what_is_no_message_at_all_is_kept_as_it_was(
    app: App, brisk: Settings, mailbox: Mailbox, tmp_path: Path
) -> None:
    for entry in NO_MESSAGES:
        app.redis.lpush("notify:email.normal", entry)
    notify.send("hello", to={"key": "ada", "email": "ada@example.org"})
    with notify_process("worker", env=environment(brisk), cwd=tmp_path) as worker:
        until(lambda: len(buried(app)) == len(NO_MESSAGES), 30, "each a dead letter")
        until(lambda: mailbox.count == 1, 30, "the mail behind them caught")
        until(lambda: not app.redis.hlen("notify:unacked"), 60, "everything acknowledged")
        assert worker.poll() is None
    kept = [base64.b64decode(json.loads(one.death.payload or "")["body"]) for one in buried(app)]
    assert {one[:1000] for one in kept} == {entry[:1000] for entry in NO_MESSAGES}
    assert {one.death.reason for one in buried(app)} == {"undecodable"}


def test_a_task_that_can_run_now_is_sent_again_and_one_that_was_cut_is_told(
    app: App, brisk: Settings, push: Push, tmp_path: Path
) -> None:
    push(NO_ARGUMENTS, "notify.nonsense")
    push(TOO_LARGE, "notify.deliver")
    with notify_process("worker", env=environment(brisk), cwd=tmp_path):
        until(lambda: len(buried(app)) == 2, 30, "both dead letters")
    first, cut = buried(app)
    if first.death.reason != "unknown_task":
        first, cut = cut, first
    job = replay.begin(app, Filter(), Terms(), actor="test")
    *_, done = replay.work(app, job)
    assert (done.replayed, done.passed_over) == (1, {"payload_cut": 1})
    assert [letter.id for letter in buried(app)] == [cut.id]
    with notify_process("worker", env=environment(brisk), cwd=tmp_path):
        until(lambda: len(buried(app)) == 2, 30, "it could not run this time either")
    again = next(letter for letter in buried(app) if letter.id != cut.id)
    assert again.fingerprint == first.fingerprint
    assert json.loads(again.death.payload or "")["body"] == json.loads(first.death.payload or "")["body"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_cannot_be_written_down_yet_stays_with_the_broker(
    app: App, brisk: Settings, push: Push, database_url: str, tmp_path: Path
) -> None:
    url = sa.make_url(database_url)
    folder = url.query.get("host")
    upstream = Path(str(folder), ".s.PGSQL.5432") if folder else (url.host or "127.0.0.1", url.port or 5432)
    with Proxy(upstream) as proxy:
        near = url.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)
        log = tmp_path / "worker.log"
        with notify_process("worker", env=environment(brisk, NOTIFY_DATABASE_URL=near), cwd=tmp_path, log=log):
            until(lambda: status(app).workers, 30, "a worker alive")
            proxy.cut()
            push(NO_ARGUMENTS, "notify.nonsense")
            until(lambda: "task.unburied" in log.read_text(), 30, "it says that it cannot write")
            assert app.redis.hlen("notify:unacked") == 1
            assert buried(app) == []
            proxy.mend()
            until(lambda: len(buried(app)) == 1, 30, "it is written down in the end")
            until(lambda: not app.redis.hlen("notify:unacked"), 60, "and acknowledged")


def test_a_dead_letter_that_cannot_be_written_ends_nothing(
    app: App, brisk: Settings, push: Push, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with notify_process("worker", env=environment(brisk), cwd=tmp_path, log=log) as worker:
        until(lambda: status(app).workers, 30, "a worker alive")
        with app.store.begin() as connection:
            connection.execute(sa.text("ALTER TABLE dead_letters RENAME TO away"))
        push(NO_ARGUMENTS, "notify.nonsense")
        until(lambda: "task.unburied" in log.read_text(), 30, "it says that it cannot write")
        assert app.redis.hlen("notify:unacked") == 1
        assert worker.poll() is None
        with app.store.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO dead_letters"))
        until(lambda: len(buried(app)) == 1, 30, "it is written down in the end")
