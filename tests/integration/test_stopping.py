"""A worker that is to stop, or outgrows its memory: what is in hand is finished, the rest goes back, and it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import notify
from notify.app import App
from notify.delivery import status
from notify.dev.mailbox import Mailbox
from notify.settings import Settings
from notify.store import presence
from notify.tasks.process import STOPPING_SECONDS, resident_mb
from tests.kinds import make_kind
from tests.mails import all_in
from tests.processes import environment, notify_process, until

COUNT = 1500


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 3.0, "republish_seconds": 2.0})


def people(count: int) -> Iterator[dict[str, str]]:
    return ({"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(count))


def assert_each_came_once(mailbox: Mailbox) -> None:
    ids = [str(mail["message-id"]) for mail in all_in(mailbox.folder)]
    assert len(ids) == len(set(ids)) == COUNT


def test_a_worker_told_to_stop_twice_hands_back_and_leaves(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    make_kind(templates)
    env = environment(brisk)
    with notify_process("worker", env=env, cwd=tmp_path) as worker:
        notify.send_many("hello", people(COUNT))
        until(lambda: mailbox.count > 100, 30, "the mailout moves")
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    states = status(app).states
    assert states.get("queued", 0) > 0
    assert states["queued"] + states["sent"] == COUNT, "nothing is left half-way"
    with app.store.read() as connection:
        assert presence.alive(connection) == []
    with notify_process("worker", env=env, cwd=tmp_path), notify_process("beat", env=env, cwd=tmp_path):
        until(lambda: status(app).states == {"sent": COUNT}, 60, "everything sent")
    assert_each_came_once(mailbox)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_a_provider_holds_up_leaves_all_the_same(
    app: App, brisk: Settings, templates: Path, tmp_path: Path
) -> None:
    make_kind(templates)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection, and never greets
        env = environment(brisk) | {
            "NOTIFY_EMAIL_PROVIDERS": f"smtp://127.0.0.1:{silent.getsockname()[1]}?timeout=300",
            "NOTIFY_LOG_FORMAT": "json",
        }
        with notify_process("worker", env=env, cwd=tmp_path) as worker:
            notify.send_many("hello", people(3))
            until(lambda: status(app).states == {"sending": 3}, 30, "the worker is at it")
            asked = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
            assert time.monotonic() - asked >= STOPPING_SECONDS, "what is in hand gets its time"
    lines = [json.loads(line) for line in (tmp_path / "worker.log").read_text().splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines][-1] == "worker.cut_short"
    with app.store.read() as connection:
        assert presence.alive(connection) == [], "it said farewell"


def test_a_worker_over_its_memory_makes_room_for_a_fresh_one(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    make_kind(templates)
    env = environment(brisk, NOTIFY_LOG_FORMAT="json")
    notify.send_many("hello", people(COUNT))
    with notify_process("worker", env=env | {"NOTIFY_WORKER_MEMORY_MB": "64"}, cwd=tmp_path) as worker:
        assert worker.wait(60) == 0, "as if it had been told to stop"
    [told] = [json.loads(line) for line in (tmp_path / "worker.log").read_text().splitlines() if "recycled" in line]
    assert told["cause"] == "memory"
    assert told["resident_mb"] > told["bound_mb"] == 64
    assert status(app).states.keys() <= {"queued", "sent"}
    roomy = env | {"NOTIFY_WORKER_MEMORY_MB": "4000"}
    with notify_process("worker", env=roomy, cwd=tmp_path), notify_process("beat", env=env, cwd=tmp_path):
        until(lambda: status(app).states == {"sent": COUNT}, 60, "everything sent")
    assert_each_came_once(mailbox)
    assert (tmp_path / "worker.log").read_text().count("worker.recycled") == 1


def test_a_process_knows_what_memory_it_holds() -> None:
    before = resident_mb()
    held = bytearray(os.urandom(1)) * (64 * 2**20)
    assert 50 < resident_mb() - before < 90
    del held


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("lanes", "nice"), [("bulk", 10), ("critical,bulk", 0)])
def test_a_worker_for_bulk_alone_gives_way_to_others(
    app: App, brisk: Settings, tmp_path: Path, lanes: str, nice: int
) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    with notify_process("worker", "--lanes", lanes, env=environment(brisk), cwd=tmp_path) as worker:
        until(lambda: status(app).workers, 30, "a worker alive")
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(ours + nice, 19)
