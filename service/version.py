"""Which version of kasparro this is."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    VERSION = version("kasparro")
except PackageNotFoundError:  # run from a checkout, or in the image, that is not installed
    _PROJECT = Path(__file__).parents[1] / "pyproject.toml"
    VERSION = str(tomllib.loads(_PROJECT.read_text())["project"]["version"])

API_VERSION = "1.0.0"
"""Of the wire contract: changes when the contract does, not with each release."""
