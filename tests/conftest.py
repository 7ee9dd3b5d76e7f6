"""What holds for every test: the same examples in every run, so that a failure is never luck; and what saves time."""

import gc
from functools import cache

import botocore.session
from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None)
# Others in every run, and many: to go looking for what nobody thought of.
settings.register_profile("long", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("deterministic")

# A botocore session reads the description of a service, a megabyte of JSON, for its first client: tests make many.
botocore.session.create_loader = cache(botocore.session.create_loader)


def pytest_collection_finish() -> None:
    """Half of the tests' time went to looking for garbage among what was imported and stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
