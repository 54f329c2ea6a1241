"""What an operator should know without asking: each alert fires once, clears once, and is told to every sink."""

from notify.alerts.conditions import on_the_way_back
from notify.alerts.look import look

__all__ = ["look", "on_the_way_back"]
