"""What must not leave the process in a log or a report: secrets, by name, by place and by value."""

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

_NAMES = re.compile(r"(?i)(api[_-]?key|authorization|password|passwd|secret|token|cookie|dsn)$")
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_URL_ARGUMENT = re.compile(
    r"(?i)([?&][\w.-]*(?:key|token|secret|password|signature|auth)[\w.-]*=)[^&\s\"'<>]+"
)
_SHORTEST = 12
"""A shorter value would blank words that only look like it."""
BLANK = "***"


class Redactor:
    """Blanks secrets in whatever it is given; as it stands a processor of structlog.

    Args:
        secrets: Values that must not appear, wherever they come from: an echo of a key in the
            answer of a vendor, a driver's error.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted({value for value in secrets if len(value) >= _SHORTEST}, key=len)
        self._values = re.compile("|".join(map(re.escape, reversed(values)))) if values else None

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Blank them in a log record."""
        for name, value in event.items():
            event[name] = self._named(name, value)
        return event

    def value(self, value: Any) -> Any:
        """Return the value without them, however deep they lie."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self._named(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value

    def text(self, text: str) -> str:
        """Return the text without them."""
        text = _URL_PASSWORD.sub(rf"\1:{BLANK}@", text)
        text = _URL_ARGUMENT.sub(rf"\1{BLANK}", text)
        return text if self._values is None else self._values.sub(BLANK, text)

    def _named(self, name: str, value: Any) -> Any:
        return BLANK if value and _NAMES.search(name) else self.value(value)
