import pickle

import pytest

from tasks.core import errors


def _all(cls=errors.KasparroError):
    yield cls
    for child in cls.__subclasses__():
        yield from _all(child)


def _make(cls):
    return cls(retry_after_s=3) if issubclass(cls, errors.RateLimitedError) else cls()


@pytest.mark.parametrize("cls", sorted(set(_all()), key=lambda cls: cls.__name__))
def test_every_error_has_a_sentence_and_crosses_a_process_border(cls):
    error = _make(cls)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert str(error).endswith(".")
    assert copy.context == error.context
