"""Settings of the whole test run."""

import signal

import pytest
from hypothesis import settings

# Who starts the tests in the background may have them ignore these; what they start would inherit that.
for _number, _usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# A loaded machine is no failure: how long one example may take is left to the benchmarks.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules come first, whatever the order of the others."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
