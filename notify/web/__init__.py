"""HTTP: health for now; hooks, pages and the console move in later."""

from notify.web.server import make

__all__ = ["make"]
