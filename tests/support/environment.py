"""The environment of a test that calls commands, which set variables for their children."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """What a command sets ends with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
