"""The preference centre: a page behind a signed link, where a recipient says what they want, where, and when."""

from notify.web.preference_centre.routes import routes

__all__ = ["routes"]
