"""The README's code and commands work as printed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.mails import all_in
from tests.processes import environment, notify_process, until
from tests.providers import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
CODE = [block for language, block in BLOCKS if language == "python"]
COMMANDS = [line[2:] for language, block in BLOCKS if language == "console" for line in block.splitlines()]


def test_the_application_code_works_as_printed(tmp_path: Path) -> None:
    env = environment(NOTIFY_EMAIL_PROVIDERS=f"smtp://127.0.0.1:{free_port()}")
    log, mail = tmp_path / "dev.log", tmp_path / ".notify/mail"
    with notify_process("dev", env=env, cwd=tmp_path, log=log):
        until(lambda: "runs: a worker and beat" in log.read_text(), 30, "notify dev runs")
        run = subprocess.run(
            [sys.executable, "-c", CODE[0]],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout == "{'queued': 1} {'queued': 100}\n"
        until(lambda: mail.is_dir() and len(list(mail.glob("*.eml"))) == 102, 60, "102 mails caught")
        mails = all_in(mail)
        assert sum(message["subject"] == "Welkom bij Engine" for message in mails) == 1
        [report] = [message for message in mails if list(message.iter_attachments())]
        assert next(iter(report.iter_attachments())).get_filename() == "results.csv"
        for command in ("notify status", "notify messages list", "notify kinds preview job-completed"):
            assert command in COMMANDS
            words = [sys.executable, "-m", "notify.cli", *shlex.split(command)[1:]]
            shown = subprocess.run(
                words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60
            )
            assert shown.returncode == 0, f"{command}: {shown.stdout}{shown.stderr}"


def test_the_testing_code_works_as_printed(tmp_path: Path) -> None:
    code = "import notify\n" + CODE[1]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True, timeout=60)


def test_the_kind_in_the_readme_is_sound(tmp_path: Path) -> None:
    [toml] = [block for language, block in BLOCKS if language == "toml"]
    kind = tmp_path / "templates/invoice-paid"
    kind.mkdir(parents=True)
    (kind / "kind.toml").write_text(toml)
    (kind / "email.html").write_text(
        "<html lang='{{ locale }}'><head><title>x</title></head><body>{{ number }}: {{ amount|number }}</body></html>"
    )
    (kind / "sample.json").write_text('{"number": "2026-1", "amount": 12.5}')
    checked = [sys.executable, "-m", "notify.cli", "kinds", "check", "invoice-paid"]
    subprocess.run(checked, cwd=tmp_path, env=environment(), check=True, timeout=60)


def test_every_make_target_that_is_promised_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in COMMANDS:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE), command
    for target in ("demo", "test", "check", "bench", "chaos", "docs"):
        assert re.search(rf"^{target}: \$\(READY\)", makefile, re.MULTILINE), f"{target} installs what it needs"


def test_ci_calls_the_test_command_of_the_readme_and_the_check() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make test" in COMMANDS
    assert "\nmake test\nmake check\n" in script
