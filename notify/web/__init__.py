"""HTTP: health, and the pages that links in mails open; hooks and the console move in later."""

from notify.web.server import make

__all__ = ["make"]
