"""notify: self-hosted notification infrastructure for Python teams.

    import notify

    notify.send("job-completed", to="user-42", data={"job_id": "j1", "rows": 1200})

Names load on first use, so that `notify --help` need not wait for a database driver.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notify import errors, testing
    from notify.audience.faces import preferences, privacy, recipients, segments, suppressions
    from notify.audience.selection import everyone, segment
    from notify.feedback.conversions import converted
    from notify.intake.explanation import Explanation
    from notify.intake.face import cancel, configure, explain, preview, send, send_many
    from notify.intake.faces import consent, verification
    from notify.intake.forecasting import Forecast
    from notify.intake.previews import Preview
    from notify.intake.when import local
    from notify.model import Attachment, Notification

_HOMES = {
    "Attachment": "notify.model",
    "Explanation": "notify.intake.explanation",
    "Forecast": "notify.intake.forecasting",
    "Notification": "notify.model",
    "Preview": "notify.intake.previews",
    "cancel": "notify.intake.face",
    "configure": "notify.intake.face",
    "converted": "notify.feedback.conversions",
    "everyone": "notify.audience.selection",
    "explain": "notify.intake.face",
    "local": "notify.intake.when",
    "preview": "notify.intake.face",
    "segment": "notify.audience.selection",
    "send": "notify.intake.face",
    "send_many": "notify.intake.face",
}

__all__ = [
    "Attachment",
    "Explanation",
    "Forecast",
    "Notification",
    "Preview",
    "cancel",
    "configure",
    "consent",
    "converted",
    "errors",
    "everyone",
    "explain",
    "local",
    "preferences",
    "preview",
    "privacy",
    "recipients",
    "segment",
    "segments",
    "send",
    "send_many",
    "suppressions",
    "testing",
    "verification",
]


_ROOMS = {
    "consent": "notify.intake.faces.consent",
    "errors": "notify.errors",
    "preferences": "notify.audience.faces.preferences",
    "privacy": "notify.audience.faces.privacy",
    "recipients": "notify.audience.faces.recipients",
    "segments": "notify.audience.faces.segments",
    "suppressions": "notify.audience.faces.suppressions",
    "testing": "notify.testing",
    "verification": "notify.intake.faces.verification",
}
"""Modules: `notify.errors.RequestError`, `notify.recipients.set(…)`, after `import notify` alone."""


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'notify' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
