"""`notify demo` and `notify dev`, as a newcomer runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from notify.channels.email.smtp import Smtp
from notify.dev.processes import procfile
from tests.mails import all_in
from tests.processes import environment, notify_process, stop, tcp_connections, until
from tests.providers import free_port

DEMO = [sys.executable, "-m", "notify.cli", "demo", "--json"]
ROOT = Path(__file__).parents[2]


def processes_in(folder: Path) -> list[str]:
    """Commands of processes that work in, or were started for, `folder`."""
    listed = subprocess.run(["ps", "-eo", "pid=,args=", "ww"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line and str(os.getpid()) not in line.split()[:1]]


def children_of(pid: int) -> dict[int, str]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args=", "ww"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {int(child): command for child, parent, command in rows if int(parent) == pid}


def running_demo(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(DEMO, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_demo_accounts_for_every_message_works_twice_and_leaves_nobody_behind(tmp_path: Path) -> None:
    accounts = []
    for _ in range(2):
        run = subprocess.run(DEMO, cwd=tmp_path, env=environment(), capture_output=True, timeout=120, check=False)
        assert run.returncode == 0, run.stderr.decode()
        accounts.append(json.loads(run.stdout))
        assert processes_in(tmp_path) == []
    first, second = accounts
    assert first["imported"]["inserted"] > 500
    assert second["imported"]["inserted"] == second["imported"]["updated"] == 0
    assert first["imported"]["refused"] == second["imported"]["refused"]
    for account in accounts:
        assert set(account["kinds"]) == {"welcome", "daily-progress"}
        for outcomes in account["kinds"].values():
            assert sum(outcomes.values()) == first["imported"]["inserted"]
            assert set(outcomes) == {"sent", "skipped: suppressed", "skipped: no_address"}
        assert account["caught"] == sum(outcomes["sent"] for outcomes in account["kinds"].values())
    mails = all_in(tmp_path / ".notify/demo/mail")
    assert len(mails) == first["caught"] + second["caught"]
    assert len({mail["message-id"] for mail in mails}) == len(mails)
    subjects = Counter(mail["subject"] for mail in mails)
    assert {"Welcome to notify", "Welkom bij notify"} <= set(subjects)


def test_a_worker_killed_in_the_middle_of_the_demo_is_replaced_and_the_job_finished(tmp_path: Path) -> None:
    mail = tmp_path / ".notify/demo/mail"
    with running_demo(tmp_path) as demo:
        until(lambda: mail.is_dir() and len(list(mail.glob("*.eml"))) > 100, 60, "a hundred mails caught")
        [worker] = [pid for pid, command in children_of(demo.pid).items() if "notify.cli worker" in command]
        stop(worker)
        connections = tcp_connections(worker) if sys.platform == "linux" else Smtp.connections
        os.kill(worker, signal.SIGKILL)
        output, errors = demo.communicate(timeout=170)
    assert demo.returncode == 0, errors.decode()
    account = json.loads(output)
    sent = sum(outcomes["sent"] for outcomes in account["kinds"].values())
    caught = [message["message-id"] for message in all_in(mail)]
    assert len(set(caught)) == sent  # nothing is lost
    assert len(caught) - sent <= account["in_doubt"]  # what came twice is named
    assert account["in_doubt"] <= connections  # one per connection at most
    assert b"ended by signal 9" in errors


def test_a_demo_that_was_killed_leaves_a_job_that_the_next_one_finishes(tmp_path: Path) -> None:
    mail = tmp_path / ".notify/demo/mail"
    with running_demo(tmp_path) as demo:
        until(lambda: mail.is_dir() and len(list(mail.glob("*.eml"))) > 100, 60, "a hundred mails caught")
        orphans = children_of(demo.pid)
        demo.kill()
        demo.communicate(timeout=30)
    workers = [pid for pid, command in orphans.items() if "notify.cli" in command]
    until(lambda: not any(alive(pid) for pid in workers), 40, "worker and beat went with their parent")
    run = subprocess.run(DEMO, cwd=tmp_path, env=environment(), capture_output=True, timeout=170, check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert processes_in(tmp_path) == []
    ids = {message["message-id"] for message in all_in(mail)}
    assert len(ids) > sum(outcomes["sent"] for outcomes in json.loads(run.stdout)["kinds"].values())


def test_the_demo_minds_nobody_elses_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NOTIFY_DATABASE_URL=postgresql+psycopg://u:p@127.0.0.1:1/production\n")
    env = environment(NOTIFY_EMAIL_PROVIDERS="smtp://mail.example.org:25", NOTIFY_REDIS_URL="redis://127.0.0.1:1/0")
    run = subprocess.run(DEMO, cwd=tmp_path, env=env, capture_output=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr.decode()


def test_dev_carries_an_application_until_it_is_told_to_stop(tmp_path: Path) -> None:
    env = environment(NOTIFY_EMAIL_PROVIDERS=f"smtp://127.0.0.1:{free_port()}")
    mail, log = tmp_path / ".notify/mail", tmp_path / "dev.log"
    with notify_process("dev", env=env, cwd=tmp_path, log=log) as dev:
        until(lambda: "runs: a worker and beat" in log.read_text(), 30, "the stack runs")
        second = subprocess.run(
            [sys.executable, "-m", "notify.cli", "dev"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 2
        assert "another `notify dev`" in second.stderr
        code = "import notify; notify.send('welcome', to={'key': 'ada', 'email': 'ada@example.org', 'locale': 'cs'})"
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, timeout=30)
        until(lambda: mail.is_dir() and list(mail.glob("*.eml")), 30, "the mail caught")
        dev.send_signal(signal.SIGINT)
        assert dev.wait(60) == 0  # its worker alone may take 30 s to end
    assert processes_in(tmp_path) == []
    assert "ada@example.org" in log.read_text()


def test_the_stack_runs_the_procfiles_own_commands() -> None:
    commands = procfile(ROOT / "Procfile")
    assert list(commands) == ["web", "worker-critical", "worker-normal", "worker-bulk", "beat", "flower"]
    assert commands["beat"][1:] == ["-m", "notify.cli", "beat"]
