"""The wheel, in a clean environment outside the repository, is the whole product."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.processes import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_holds_what_notify_ships_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for shipped in ("templates/welcome/kind.toml", "templates/_layouts/base.mjml", "examples/roster.csv", "Procfile"):
        assert f"notify/shipped/{shipped}" in names
    assert {"notify/shipped/beat_schedule.py", "notify/py.typed"} <= names
    assert "notify/shipped/templates/locales/nl/LC_MESSAGES/messages.po" in names
    assert any(name.startswith("notify/store/migrations/versions/0001") for name in names)
    assert not any(name.startswith(("tests", "benchmarks", "docs")) for name in names)


def test_the_installed_wheel_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    install = [
        str(home / "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=600)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = subprocess.run(
        [str(home / "bin/notify"), "demo", "--json"],
        cwd=elsewhere,
        env=environment(),
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    account = json.loads(run.stdout)
    assert account["finished"]
    assert account["caught"] > 900
