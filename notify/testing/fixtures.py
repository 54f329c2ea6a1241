"""pytest fixtures: `pytest_plugins = ["notify.testing.fixtures"]` in conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from notify.testing.capture import Outbox, capture


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    """Everything that notify would have sent during this test."""
    with capture() as captured:
        yield captured
