"""Whether this API is about to stop: told by gunicorn's arbiter, seen by all its workers."""

import mmap

_told = mmap.mmap(-1, 1)  # anonymous memory that workers share with who forked them


def begin() -> bool:
    """Say that the end is near; False if that was said before."""
    is_first = not is_draining()
    _told[0] = 1
    return is_first


def is_draining() -> bool:
    """Tell whether the end is near."""
    return bool(_told[0])
