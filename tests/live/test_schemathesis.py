"""The API keeps to its own document; ``make schemathesis`` asks it much longer."""

import json
import subprocess

import pytest

from service import openapi
from tests.support import fuzz, live

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_no_request_that_is_made_up_finds_a_failure(market, tmp_path):
    with fuzz.system(market, tmp_path) as api:
        found = fuzz.run(api, *fuzz.SHORT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert found.returncode == 0, found.stdout
        operations = json.loads(openapi.text())["paths"].values()
        count = sum(name != "parameters" for methods in operations for name in methods)
        assert f"Selected: {count}/{count}\n  Tested: {count}\n" in found.stdout
        assert live.problems_in(api.log) == []
