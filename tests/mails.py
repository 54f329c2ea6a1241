"""Reads what the mail catcher caught."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path


def read(path: Path) -> EmailMessage:
    """One .eml file."""
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def all_in(folder: Path) -> list[EmailMessage]:
    """Every .eml file of a folder, by name."""
    return [read(path) for path in sorted(folder.glob("**/*.eml"))]
