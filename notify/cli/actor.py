"""Who sits at the keyboard, as audit rows name them."""

from __future__ import annotations

import getpass
import os


def actor() -> str:
    """`cli:` and the operating system's name for the user, or their number where it has none."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:uid-{os.getuid()}"
