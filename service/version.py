"""Which version of kasparro this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("kasparro")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0+checkout"

API_VERSION = "1.0.0"
"""Of the wire contract: changes when the contract does, not with each release."""
