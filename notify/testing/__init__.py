"""The kit for an application's own tests: `with notify.testing.capture() as outbox:` and nothing leaves the process.

    with capture() as outbox:
        sign_up("ada@example.org")
        outbox.assert_sent("welcome", to="user-43")
        assert outbox[0].email.subject == "Welcome to notify"

For a pytest fixture put `pytest_plugins = ["notify.testing.fixtures"]` into conftest.py and ask for `outbox`.
"""

from notify.testing.capture import Captured, CapturedEmail, Outbox, capture
from notify.testing.clock import MovableClock

__all__ = ["Captured", "CapturedEmail", "MovableClock", "Outbox", "capture"]
