"""notify: self-hosted notification infrastructure for Python teams.

    import notify

    notify.send("job-completed", to="user-42", data={"job_id": "j1", "rows": 1200})

Names load on first use, so that `notify --help` need not wait for a database driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notify import errors, testing
    from notify.audience.selection import everyone
    from notify.intake.explanation import Explanation
    from notify.intake.face import cancel, configure, explain, preview, send, send_many
    from notify.intake.previews import Preview
    from notify.model import Attachment, Notification

_HOMES = {
    "Attachment": "notify.model",
    "Explanation": "notify.intake.explanation",
    "Notification": "notify.model",
    "Preview": "notify.intake.previews",
    "cancel": "notify.intake.face",
    "configure": "notify.intake.face",
    "everyone": "notify.audience.selection",
    "explain": "notify.intake.face",
    "preview": "notify.intake.face",
    "send": "notify.intake.face",
    "send_many": "notify.intake.face",
}

__all__ = [
    "Attachment",
    "Explanation",
    "Notification",
    "Preview",
    "cancel",
    "configure",
    "errors",
    "everyone",
    "explain",
    "preview",
    "send",
    "send_many",
    "testing",
]


_ROOMS = ("errors", "testing")  # `notify.errors.RequestError`, `notify.testing.capture()`, after `import notify` alone


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"notify.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'notify' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
