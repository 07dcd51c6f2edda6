import os

import pytest

from tasks.core.settings import load_settings


class _Noting(dict):
    """An environment that notes what it is asked for."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.asked: set[str] = set()

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)


@pytest.fixture
def setting_names(settings, monkeypatch) -> set[str]:
    """Every variable that the settings are made of."""
    noting = _Noting(os.environ)
    monkeypatch.setattr(os, "environ", noting)
    load_settings()
    return noting.asked
