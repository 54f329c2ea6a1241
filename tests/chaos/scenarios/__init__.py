"""The scenarios, by the numbers of the list. Each module of this folder enters its own."""

from tests.chaos.scenarios import beats, brokers, clocks, databases, drains, providers, workers
from tests.chaos.stage import SCENARIOS

__all__ = ["SCENARIOS", "beats", "brokers", "clocks", "databases", "drains", "providers", "workers"]
