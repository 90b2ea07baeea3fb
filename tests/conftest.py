"""Settings of the whole test run."""

from hypothesis import settings

# A loaded machine is no failure: how long one example may take is left to the benchmarks.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
