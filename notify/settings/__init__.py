"""One frozen object holds every setting: `NOTIFY_*` in the environment first, then `.env`, then the default.

An unknown `NOTIFY_` name is refused with the nearest right one, and a value that nothing could work with is refused
by the name of its variable; production refuses the defaults that are only safe on a developer's machine.
"""

from notify.settings.durations import duration, written
from notify.settings.fields import DEVELOPMENT_SECRET, PREFIX, Environment, LogFormat
from notify.settings.reading import OTHER_NAMES, load, sources
from notify.settings.redaction import redact
from notify.settings.rules import time_zones
from notify.settings.settings import Settings

__all__ = [
    "DEVELOPMENT_SECRET",
    "OTHER_NAMES",
    "PREFIX",
    "Environment",
    "LogFormat",
    "Settings",
    "duration",
    "load",
    "redact",
    "sources",
    "time_zones",
    "written",
]
