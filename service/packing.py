"""Gzip for bodies of which only the end differs from answer to answer."""

import struct
import zlib

GZIP_LEVEL = 5
"""Beyond it, each per cent costs more time than the network would."""


class PackedHead:
    """The beginning of a body as gzip, to which each answer adds its own end.

    The beginning is flushed to a whole byte, and the end follows in a block that is stored as it
    is: together one ordinary stream, for next to no work.

    Args:
        head: Bytes of the beginning.
    """

    def __init__(self, head: bytes) -> None:
        packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
        self._packed = packer.compress(head) + packer.flush(zlib.Z_SYNC_FLUSH)
        self._crc = zlib.crc32(head)
        self._length = len(head)

    def finish(self, rest: bytes) -> bytes:
        """Return the whole stream, given the end: 64 KiB at most."""
        size = len(rest)
        crc, length = zlib.crc32(rest, self._crc), (self._length + size) % 2**32
        stored = struct.pack("<BHH", 1, size, size ^ 0xFFFF)
        return b"".join((self._packed, stored, rest, struct.pack("<II", crc, length)))
