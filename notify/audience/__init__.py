"""People and what they may be sent: descriptions checked, recipients kept, rosters read."""

from notify.audience.description import Described, describe
from notify.audience.selection import Everyone, Segment, everyone, segment

__all__ = ["Described", "Everyone", "Segment", "describe", "everyone", "segment"]
