"""Secrets as they may be shown: a URL keeps its scheme and host, anything else is `***`."""

from __future__ import annotations

from pydantic import SecretStr

from notify.settings import redact


def shown_secret(value: SecretStr) -> str:
    """`***`, or the harmless parts of a URL; empty when there is nothing to hide."""
    text = value.get_secret_value()
    return redact(text) if "://" in text else "***" if text else ""
