"""People and what they may be sent: descriptions checked, recipients kept, rosters read."""

from notify.audience.description import Described, describe

__all__ = ["Described", "describe"]
