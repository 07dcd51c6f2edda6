"""Every key that coordination writes in Redis. The tag in braces keeps a source's keys together.

A script may only touch keys of one slot when Redis runs as a cluster.
"""


def calls(source: str) -> str:
    """List of the latest calls' times in microseconds, newest first."""
    return _of(source, "calls")


def month(source: str, label: str) -> str:
    """Counter of the calls in a calendar month such as ``2026-11``."""
    return _of(source, f"month:{label}")


def freeze(source: str) -> str:
    """There while the source asked to be left alone; its expiry is the end of that."""
    return _of(source, "freeze")


def failures(source: str) -> str:
    """How many calls have failed since one succeeded."""
    return _of(source, "failures")


def opened(source: str) -> str:
    """There while the circuit is open; its expiry is when a probe may be made."""
    return _of(source, "opened")


def probe(source: str) -> str:
    """There while one worker tries whether the source is back."""
    return _of(source, "probe")


def _of(source: str, what: str) -> str:
    return f"kasparro:{{{source}}}:{what}"
