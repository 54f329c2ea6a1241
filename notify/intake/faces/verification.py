"""`notify.verification`: whether an address is the recipient's, on this process's App."""

from __future__ import annotations

from notify import app as apps
from notify.intake import confirmations
from notify.model import Notification


def ask(key: str, *, address: str | None = None, tenant: str | None = None) -> Notification | None:
    """Send a mail whose link verifies the recipient's primary e-mail address, or the one named.

    None when it is verified already. Raises `InvalidRecipient` when there is no such address, `NotFound`,
    `InvalidSettings` without NOTIFY_PUBLIC_URL.
    """
    return confirmations.ask_verification(apps.current(), key, address=address, tenant=tenant)
