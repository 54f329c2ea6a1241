"""The App a command works with: the settings in force, its log on standard error, closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from notify import telemetry
from notify.app import App, open_app
from notify.settings import load, sources


@contextmanager
def opened_app() -> Iterator[App]:
    """Open an App, and log warnings and worse unless NOTIFY_LOG_LEVEL says otherwise."""
    settings = load()
    quiet = sources()["log_level"] == "default"
    telemetry.start(settings.model_copy(update={"log_level": "WARNING"}) if quiet else settings)
    app = open_app(settings)
    try:
        yield app
    finally:
        app.close()
