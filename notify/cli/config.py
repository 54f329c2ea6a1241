"""`notify config`: every setting with its value in force and where that came from; secrets never leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from notify.channels.reporters import carriers, reporters
from notify.cli import env_file, screen
from notify.cli.groups import example
from notify.cli.masking import shown_secret
from notify.cli.wiring import opened_app
from notify.feedback.mailboxes import configured, look_at_files
from notify.settings import DEVELOPMENT_SECRET, Settings, load, redact, sources

ENV_FILE = Path(".env")
DERIVED = {
    "database_url": "database",
    "redis_url": "redis",
    "broker_url": "broker",
    "email_domain": "message_id_domain",
}
"""Settings that follow from others while they are unset, and the property that holds what is then in force."""


@click.command(
    epilog=example("notify config", "NOTIFY_ENV=production notify config --check", "notify config --sync-env")
)
@click.option("--json", "form", flag_value="json", help="Print one JSON document, and nothing else.")
@click.option("--template", "form", flag_value="template", help="Print .env.template: every setting with its default.")
@click.option("--sync-env", "form", flag_value="sync-env", help="Create .env, or append the settings that it lacks.")
@click.option("--check", "form", flag_value="check", help="Print only problems; exit code 3 when there are any.")
def config(form: str | None) -> None:
    """Show every setting, its value and where it came from.

    The environment beats .env, and .env beats the default. Secrets are masked.
    """
    _FORMS[form]()


def _table() -> None:
    found = _effective()
    out = screen.console()
    rows = [(row["name"], _text(row["value"]), screen.cell(row["source"], _style(row["source"]))) for row in found]
    out.print(screen.table(("Setting", "Value", "Source"), rows, whole=("Setting", "Source")))


def _json() -> None:
    screen.print_json(_effective())


def _template() -> None:
    click.echo(env_file.template(), nl=False)


def _sync_env() -> None:
    existed = ENV_FILE.exists()
    added = env_file.synchronise(ENV_FILE)
    if not existed:
        click.echo(
            f"Created {ENV_FILE} with {len(added)} settings, each a comment: the defaults hold until you edit it."
        )
    elif added:
        click.echo(f"Added to {ENV_FILE}, as comments: {', '.join(added)}")
    else:
        click.echo(f"{ENV_FILE} names every setting already: nothing to add.")


def _check() -> None:
    with (
        opened_app() as app
    ):  # what cannot be used is refused: settings, provider URLs, database URL, locale, time zone
        secrets = [one.get_secret_value() for one in app.settings.hook_secrets]
        reporters(secrets, app.settings.sns_topics)
        carriers(secrets)
        for place in configured(app.settings):
            look_at_files(place)


_FORMS: dict[str | None, Callable[[], None]] = {
    None: _table,
    "json": _json,
    "template": _template,
    "sync-env": _sync_env,
    "check": _check,
}


def _effective() -> list[dict[str, Any]]:
    settings, origin = load(), sources()
    return [
        {"name": env_file.variable(name), "value": _shown(settings, name), "source": origin[name]}
        for name in Settings.model_fields
    ]


def _shown(settings: Settings, name: str) -> Any:
    """The value in force in JSON's types, without its secrets."""
    value = getattr(settings, name)
    if value is None and name in DERIVED:
        return redact(getattr(settings, DERIVED[name]))
    if name == "secret_key":
        return "*** (development key)" if value.get_secret_value() == DEVELOPMENT_SECRET else "*** (set)"
    if name == "hook_secrets":
        return [f"{one.get_secret_value().partition('=')[0]}=***" for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | frozenset):
        return [env_file.written(part) for part in (sorted(value) if isinstance(value, frozenset) else value)]
    return shown_secret(value) if isinstance(value, SecretStr) else env_file.written(value)


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else env_file.written(value)


def _style(source: str) -> str:
    return "dim" if source == "default" else "green"
