"""One driver for each provider class that `PROVIDERS` names, whichever channel it serves."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import tests.conformance
from notify.channels import provider_for
from notify.channels.provider import Provider
from notify.channels.registry import PROVIDERS
from tests.conformance.driver import Driver

MODULES = [
    importlib.import_module(f"tests.conformance.{found.name}")
    for found in pkgutil.iter_modules(tests.conformance.__path__)
    if not found.name.startswith(("test_", "conftest"))
]
DRIVERS: dict[str, ModuleType] = {module.SERVES: module for module in MODULES if hasattr(module, "SERVES")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "driver" in metafunc.fixturenames:
        served = sorted(set(PROVIDERS.values()) & set(DRIVERS))
        names = [name.rpartition(":")[2].lower() for name in served]
        metafunc.parametrize("driver", served, ids=names, indirect=True)


@pytest.fixture
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    with DRIVERS[request.param].serving(tmp_path) as serving:
        yield serving


@pytest.fixture
def provider(driver: Driver) -> Iterator[Provider]:
    opened = provider_for(driver.url())
    yield opened
    opened.close()
