"""Bodies of answers: a small one is held in memory, a large one rests in a file that is mapped."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from tempfile import SpooledTemporaryFile

from tasks.core.errors import PermanentError, UnavailableError
from tasks.sources.base import Content


def keep(pieces: Iterable[bytes], *, source: str, most: int, in_memory: int) -> Content:
    """Put a body together.

    Args:
        pieces: Of it, as they come; what they raise is passed on.
        source: Whose it is, for the errors.
        most: Bytes it may have.
        in_memory: Bytes up to which it is held in memory.

    Raises:
        PermanentError: If it has more bytes.
        UnavailableError: If there is no room for the file, which is no fault of the source.
    """
    with SpooledTemporaryFile(max_size=in_memory) as file:
        for piece in pieces:
            if file.tell() + len(piece) > most:
                raise PermanentError(f"{source} answers with more than {most} bytes")
            with _room_for(source):
                file.write(piece)
        if file.tell() <= in_memory:
            file.seek(0)
            return file.read()
        with _room_for(source):
            file.flush()  # what is mapped is the file, not what waits to be written to it
            return mmap(file.fileno(), 0, access=ACCESS_READ)


@contextmanager
def _room_for(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"A large answer of {source} cannot be kept: {error.strerror}. Make room in the "
            "directory for temporary files, or name another one by TMPDIR."
        ) from error
