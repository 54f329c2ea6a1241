"""The Procfile's commands as real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

import notify
from notify.app import App
from notify.delivery import status
from notify.dev.mailbox import Mailbox
from notify.settings import Settings
from notify.store import presence, tallies
from tests.kinds import make_kind
from tests.mails import all_in
from tests.processes import environment, notify_process, until
from tests.providers import free_port


@pytest.fixture
def brisk(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 2.0, "republish_seconds": 2.0})


def fetch(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, ConnectionError):
        return 0


def test_worker_and_beat_deliver_schedule_and_say_that_they_live(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    make_kind(templates)
    env = environment(brisk)
    with notify_process("worker", env=env, cwd=tmp_path), notify_process("beat", env=env, cwd=tmp_path):
        notify.send("hello", to={"key": "ada", "email": "ada@example.org"}, data={"word": "now"})
        notify.send("hello", to="ada", data={"word": "soon"}, at=app.clock.now() + timedelta(seconds=2))
        until(lambda: mailbox.count == 2, 30, "both mails caught")
        assert {mail["subject"] for mail in all_in(mailbox.folder)} == {"now", "soon"}
        until(lambda: status(app).problems == (), 60, "healthy")
        [worker] = status(app).workers
        assert "email.critical" in worker.queues
        shown = subprocess.run(
            [sys.executable, "-m", "notify.cli", "status", "--json"],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        assert json.loads(shown.stdout)["states"] == {"sent": 2}
    with app.store.read() as connection:
        assert presence.alive(connection) == []  # it said farewell


def test_a_worker_of_one_lane_leaves_the_others_alone(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    for lane in ("critical", "bulk"):
        make_kind(templates, lane, toml=f'lane = "{lane}"')
    with notify_process("worker", "--lanes", "critical", env=environment(brisk), cwd=tmp_path):
        for lane in ("bulk", "critical"):
            notify.send(lane, to={"key": "ada", "email": "ada@example.org"}, data={"word": lane})
        until(lambda: mailbox.count == 1, 30, "the critical mail caught")
        assert all_in(mailbox.folder)[0]["subject"] == "critical"
        assert app.redis.llen("notify:email.bulk") == 1


def test_a_worker_starts_while_a_file_of_a_mailbox_is_away_and_the_doctor_names_it(
    app: App, brisk: Settings, tmp_path: Path
) -> None:
    urls = (
        f"imaps://u@127.0.0.1:1/INBOX?auth=xoauth2&token_file={tmp_path / 'away'}",
        f"imaps://u:hunter2@127.0.0.1:1/Other?ca={tmp_path / 'away'}",
        f"smtpd://127.0.0.1:2525?cert={tmp_path / 'away'}",
    )
    env = environment(brisk, NOTIFY_MAILBOXES=",".join(urls))
    with notify_process("worker", "--lanes", "system", env=env, cwd=tmp_path) as worker:
        until(lambda: status(app).workers or worker.poll() is not None, 60, "it says that it lives")
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()
        asked = subprocess.run(
            [sys.executable, "-m", "notify.cli", "doctor", "--json"],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
    assert asked.returncode == 2
    said = {one["service"]: one["said"] for one in json.loads(asked.stdout)}
    assert "its file of ?ca= cannot be read: No such file" in said["mailbox 127.0.0.1:1/Other"]
    assert "certificate or key cannot be read: No such file" in said["listener smtpd://127.0.0.1:2525"]
    assert "alive" in said["workers"]
    assert "mailbox 127.0.0.1:1/INBOX" in said


def test_a_killed_worker_loses_nothing_and_doubles_nothing_unnamed(
    app: App, brisk: Settings, mailbox: Mailbox, templates: Path, tmp_path: Path
) -> None:
    make_kind(templates)
    env = environment(brisk, NOTIFY_EMAIL_PROVIDERS=f"smtp://127.0.0.1:{mailbox.port}?connections=1")
    people = [{"key": f"u{n}", "email": f"u{n}@example.org"} for n in range(600)]
    with notify_process("beat", env=env, cwd=tmp_path):
        with notify_process("worker", "--concurrency", "1", env=env, cwd=tmp_path) as worker:
            sent = notify.send_many("hello", people)
            until(lambda: mailbox.count > 100, 30, "a hundred mails caught")
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert mailbox.count < 600
        with notify_process("worker", env=env, cwd=tmp_path):
            until(lambda: status(app).states == {"sent": 600}, 60, "everything sent")
    ids = [mail["message-id"] for mail in all_in(mailbox.folder)]
    assert len(set(ids)) == 600  # nothing is lost
    with app.store.read() as connection:
        named = tallies.doubted(connection, [sent.id])
    assert len(ids) - 600 <= named <= 1  # what came twice is named, and at most one per connection


def test_a_production_worker_refuses_kinds_that_fail_their_check(
    app: App, brisk: Settings, templates: Path, tmp_path: Path
) -> None:
    make_kind(templates, html="<html lang='en'><body>{{ wrod }}</body></html>")
    production = {"NOTIFY_ENV": "production", "NOTIFY_SECRET_KEY": "s" * 40, "NOTIFY_ALLOW_SQLITE": "1"}
    refused = subprocess.run(
        [sys.executable, "-m", "notify.cli", "worker"],
        env=environment(brisk, **production),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "hello/email.html:1" in refused.stderr
    assert "Traceback" not in refused.stderr
    with notify_process("worker", env=environment(brisk), cwd=tmp_path):  # in development it only warns
        until(lambda: status(app).workers, 30, "a worker alive")
        assert "kind.invalid" in (tmp_path / "worker.log").read_text()


def test_a_worker_without_a_database_says_what_to_do(tmp_path: Path, redis_url: str) -> None:
    url = "postgresql+psycopg://notify:hunter2@127.0.0.1:1/notify"
    refused = subprocess.run(
        [sys.executable, "-m", "notify.cli", "worker"],
        env=environment(NOTIFY_DATABASE_URL=url, NOTIFY_REDIS_URL=redis_url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "127.0.0.1:1" in refused.stderr
    assert "Next:" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("port_setting", ["web", "flower"])
def test_web_and_flower_answer(app: App, brisk: Settings, tmp_path: Path, port_setting: str) -> None:
    port = free_port()
    env = environment(brisk, **{f"NOTIFY_{port_setting.upper()}_PORT": str(port)})
    path = "/ready" if port_setting == "web" else "/"
    with notify_process(port_setting, env=env, cwd=tmp_path):
        until(lambda: fetch(f"http://127.0.0.1:{port}{path}") == 200, 30, f"{port_setting} answers")


def test_the_plain_celery_command_finds_the_tasks(app: App, brisk: Settings, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "notify.tasks", "report"],
        env=environment(brisk),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "transport:redis" in found.stdout
