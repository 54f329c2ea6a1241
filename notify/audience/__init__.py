"""People and what they may be sent: descriptions checked, recipients kept, rosters read."""

from notify.audience.description import Described, describe
from notify.audience.selection import Everyone, everyone

__all__ = ["Described", "Everyone", "describe", "everyone"]
