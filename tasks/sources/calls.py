"""A call that is made of a source: where to, what of it may be shown, and what is secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

from tasks.core.errors import PermanentError

# What may follow a redirect to another host. Any other header a connector sets may be a key.
_PUBLIC_HEADERS = frozenset({"accept", "if-none-match", "if-modified-since"})


@dataclass(frozen=True, kw_only=True)
class Call:
    """One address to ask, with all that holds for it."""

    url: str
    params: Mapping[str, str | int]
    headers: Mapping[str, str]
    ends_at: float

    def redirected(self, location: str) -> "Call":
        """Return the call that a redirect asks for; another host gets no key.

        Raises:
            PermanentError: If it leads nowhere.
        """
        try:
            url = urljoin(self.url, location)
            is_same_origin = _origin(url) == _origin(self.url)
        except ValueError:
            raise PermanentError("The source redirects to an address that is none") from None
        headers = self.headers
        if not is_same_origin:
            headers = {name: text for name, text in headers.items() if name in _PUBLIC_HEADERS}
        return Call(url=url, params={}, headers=headers, ends_at=self.ends_at)


def keys(headers: Mapping[str, str]) -> list[str]:
    """Return what may be a key in the headers of a call."""
    # A scheme such as "Bearer" before the key is no secret, and may stand in a sentence.
    return [text.split()[-1] for name, text in headers.items() if name not in _PUBLIC_HEADERS]


def shown(url: str) -> str:
    """Return an address without its query and its credentials."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
