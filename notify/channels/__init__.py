"""Ways to hand a message over: one provider contract, one file per provider, loaded when its first URL is read."""

from notify.channels.registry import Channels, Configured, provider_for

__all__ = ["Channels", "Configured", "provider_for"]
