"""The facts of the store suite's module of this name, on the engines of this folder."""

from tests.store.test_stored import *  # noqa: F403
