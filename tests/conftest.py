"""Settings of the whole test run."""

import pytest
from hypothesis import settings

# A loaded machine is no failure: how long one example may take is left to the benchmarks.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules come first, whatever the order of the others."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
