"""What holds for every test: the same examples in every run, so that a failure is never luck."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None)
# Others in every run, and many: to go looking for what nobody thought of.
settings.register_profile("long", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("deterministic")
