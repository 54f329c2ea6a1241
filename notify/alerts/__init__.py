"""What an operator should know without asking: each alert fires once, clears once, and is told to every sink."""

from notify.alerts.look import look

__all__ = ["look"]
