import os
import stat

import pytest

from service.cli.data_directory import DataDirectory
from tasks.core.errors import ConfigurationError, ConflictError


@pytest.fixture
def directory(tmp_path) -> DataDirectory:
    return DataDirectory(tmp_path / "a directory")


def test_a_second_start_is_refused_with_the_pid_of_the_first(directory):
    with (
        directory.held(),
        pytest.raises(ConflictError, match=f"pid {os.getpid()}") as refused,
        directory.held(),
    ):
        pass
    assert "--data-dir" in str(refused.value)


def test_a_directory_is_free_again_after_a_start(directory):
    for _ in range(2):
        with directory.held():
            assert directory.logs.is_dir()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"), DataDirectory(tmp_path / "file").held():
        pass


def test_addresses_are_kept_from_other_users(directory):
    with directory.held():
        directory.keep_environment({"REDIS_URL": "redis://:secret@host/0"})
        assert directory.environment() == {"REDIS_URL": "redis://:secret@host/0"}
    mode = (directory.root / "environment.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_record_that_was_cut_short_is_no_record(directory):
    with directory.held():
        (directory.root / "children.json").write_text('{"worker": "ho')
        assert directory.children() == {}
