"""Where alerts go besides the log: one URL, one sink; one file per kind of it, loaded when its first URL is read."""

from notify.channels.sinks.bounded import Bounded
from notify.channels.sinks.contract import House
from notify.channels.sinks.registry import sinks

__all__ = ["Bounded", "House", "sinks"]
