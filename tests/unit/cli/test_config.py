"""`notify config`: every setting, where it came from, and no secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from notify.cli import env_file
from notify.settings import Settings, load
from tests.unit.cli.running import install, notify_cli

ROOT = Path(__file__).parents[3]
SECRETS = {
    "secret_key": "k3y-" * 12,
    "database_url": "postgresql://notify:s3cret@db.example.org/notify",
    "redis_url": "redis://:s3cret@redis.example.org:6379/0?password=s3cret",
    "email_providers": "smtp://mailer:s3cret@mail.example.org:587?tls=starttls",
    "flower_basic_auth": "admin:s3cret",
    "sentry_dsn": "https://s3cret@sentry.example.org/7",
}


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)


def settings() -> dict[str, Any]:
    return {row["name"]: row for row in notify_cli("config", "--json").json}


def test_every_setting_is_listed_with_its_value_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("NOTIFY_BATCH_SIZE=77\nNOTIFY_WEB_PORT=9000\n")
    monkeypatch.setenv("NOTIFY_WEB_PORT", "9001")
    listed = settings()
    assert list(listed) == [f"NOTIFY_{name.upper()}" for name in Settings.model_fields]
    assert listed["NOTIFY_BATCH_SIZE"] == {"name": "NOTIFY_BATCH_SIZE", "value": 77, "source": ".env"}
    assert listed["NOTIFY_WEB_PORT"] == {"name": "NOTIFY_WEB_PORT", "value": 9001, "source": "environment"}
    assert listed["NOTIFY_LOG_LEVEL"]["source"] == "default"
    table = notify_cli("config").out
    for name in listed:
        assert name in table


def test_secrets_are_masked_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(f"NOTIFY_{name.upper()}", value)
    for form in ([], ["--json"], ["--template"]):
        ran = notify_cli("config", *form)
        assert ran.code == 0
        assert "s3cret" not in ran.out
        assert "k3y" not in ran.out
    listed = settings()
    assert listed["NOTIFY_SECRET_KEY"]["value"] == "*** (set)"
    assert listed["NOTIFY_FLOWER_BASIC_AUTH"]["value"] == "***"
    assert listed["NOTIFY_EMAIL_PROVIDERS"]["value"] == ["smtp://mailer:***@mail.example.org:587?tls=starttls"]
    assert listed["NOTIFY_REDIS_URL"]["value"] == "redis://:***@redis.example.org:6379/0?password=***"
    assert listed["NOTIFY_BROKER_URL"]["value"] == "redis://:***@redis.example.org:6379/0?password=***"


def test_the_development_key_is_named_as_such() -> None:
    assert settings()["NOTIFY_SECRET_KEY"]["value"] == "*** (development key)"


def test_what_follows_from_other_settings_is_shown_as_it_is_in_force(tmp_path: Path) -> None:
    listed = settings()
    assert listed["NOTIFY_DATABASE_URL"]["value"] == f"sqlite:///{tmp_path}/data/notify.db"
    assert listed["NOTIFY_EMAIL_DOMAIN"]["value"] == "example.org"


def test_an_unknown_setting_is_refused_with_the_nearest_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_DATABSE_URL", "sqlite://")
    ran = notify_cli("config")
    assert (ran.code, ran.out) == (3, "")
    assert "did you mean 'NOTIFY_DATABASE_URL'?" in ran.err
    assert "Next: " in ran.err


def test_check_says_nothing_when_all_is_well() -> None:
    ran = notify_cli("config", "--check")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("NOTIFY_WEB_PORT", "99999", "NOTIFY_WEB_PORT: "),
        ("NOTIFY_ENV", "production", "NOTIFY_SECRET_KEY: production needs a secret"),
        ("NOTIFY_EMAIL_PROVIDERS", "smpt://u:s3cret@h", "did you mean 'smtp'?"),
        ("NOTIFY_DATABASE_URL", "mysql://u:s3cret@h/d", "mysql is not supported"),
        ("NOTIFY_EMAIL_PROVIDERS", "", "NOTIFY_EMAIL_PROVIDERS: is empty"),
        ("NOTIFY_RECIPIENT_RATE", "10", "write a rate as a number per s, m, h or d"),
        ("NOTIFY_EMAIL_PROVIDERS", "smtp://u:s3c,s3cret@h", "%2C"),
        ("NOTIFY_EMAIL_PROVIDERS", "smtp://u:s3cret@h:abc", "port"),
        ("NOTIFY_EMAIL_REPLY_TO", "foo", "NOTIFY_EMAIL_REPLY_TO: write it like"),
        ("NOTIFY_EMAIL_DOMAIN", "a b", "NOTIFY_EMAIL_DOMAIN: must be a domain"),
        ("NOTIFY_TEST_RECIPIENTS", "foo", "NOTIFY_TEST_RECIPIENTS: 'foo' is not an e-mail address"),
        ("NOTIFY_REDIS_URL", "http://:s3cret@h", "NOTIFY_REDIS_URL: must begin with redis://"),
        ("NOTIFY_REDIS_URL", "redis://:s3cret@h/0?ssl=x", "NOTIFY_REDIS_URL: cannot be used"),
        ("NOTIFY_REDIS_URL", "redis://:s3cret@h/0?max_connections=x", "NOTIFY_REDIS_URL: cannot be used"),
        ("NOTIFY_BROKER_URL", "foo://:s3cret@h", "NOTIFY_BROKER_URL: no broker is known for foo://"),
        ("NOTIFY_BROKER_URL", "amqp://:s3cret@h?heartbeat=x", "NOTIFY_BROKER_URL: "),
        ("NOTIFY_SENTRY_DSN", "s3cret", "NOTIFY_SENTRY_DSN: is no DSN"),
        ("NOTIFY_SENTRY_DSN", "https://s3cret@sentry.example.org/", "NOTIFY_SENTRY_DSN: is no DSN"),
        ("NOTIFY_SENTRY_DSN", "https://s3cret@sentry.example.org:s3cret/1", "NOTIFY_SENTRY_DSN: is no DSN"),
        ("NOTIFY_SENTRY_DSN", "https://sentry.example.org/1", "NOTIFY_SENTRY_DSN: is no DSN"),
        ("NOTIFY_LEASE_SECONDS", "1e300", "NOTIFY_LEASE_SECONDS: "),
        ("NOTIFY_RETRY_CAP_SECONDS", "inf", "NOTIFY_RETRY_CAP_SECONDS: "),
        ("NOTIFY_FLOWER_BASIC_AUTH", "s3cret", "NOTIFY_FLOWER_BASIC_AUTH: write it like user:password"),
        ("NOTIFY_DEFAULT_LOCALE", "klingon", "NOTIFY_DEFAULT_LOCALE: 'klingon' is not a locale"),
        ("NOTIFY_DEFAULT_TIMEZONE", "Mars/Olympus", "NOTIFY_DEFAULT_TIMEZONE"),
        ("NOTIFY_DEFAULT_TIMEZONE", "localtime", "NOTIFY_DEFAULT_TIMEZONE"),
    ],
)
def test_check_prints_what_is_refused(name: str, value: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    ran = notify_cli("config", "--check")
    assert (ran.code, ran.out) == (3, "")
    assert complaint in ran.err
    assert "defect" not in ran.err
    assert "s3c" not in ran.err


def test_the_template_in_the_repository_is_the_generated_one() -> None:
    assert (ROOT / ".env.template").read_text(encoding="utf-8") == notify_cli("config", "--template").out


def test_the_template_with_every_line_uncommented_is_a_valid_env_file() -> None:
    lines = [line.removeprefix("# ") for line in env_file.template().splitlines() if line.startswith("# NOTIFY_")]
    assert len(lines) == len(Settings.model_fields)
    Path(".env").write_text("\n".join(line for line in lines if not line.endswith("=")))
    os.environ.pop("NOTIFY_DATA_DIR")
    assert load() == load(env_file=None)


def test_sync_env_creates_a_file_that_only_its_owner_reads() -> None:
    ran = notify_cli("config", "--sync-env")
    assert ran.code == 0
    assert f"Created .env with {len(Settings.model_fields)} settings" in ran.out
    assert Path(".env").read_text() == env_file.template()
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600


def test_sync_env_appends_what_is_missing_and_changes_no_line() -> None:
    lines = [line for line in env_file.template().splitlines(keepends=True) if "NOTIFY_WEB_PORT=" not in line]
    before = "".join(lines) + "export NOTIFY_BATCH_SIZE=7  # mine\nOTHER=1"
    Path(".env").write_text(before)
    ran = notify_cli("config", "--sync-env")
    assert ran.out == "Added to .env, as comments: NOTIFY_WEB_PORT\n"
    after = Path(".env").read_text()
    assert after.startswith(f"{before}\n")
    assert after.endswith("# NOTIFY_WEB_PORT=8025\n")
    assert load().batch_size == 7


def test_sync_env_twice_changes_nothing() -> None:
    Path(".env").write_text("NOTIFY_BATCH_SIZE=7")
    notify_cli("config", "--sync-env")
    once = Path(".env").read_bytes()
    assert "nothing to add" in notify_cli("config", "--sync-env").out
    assert Path(".env").read_bytes() == once
