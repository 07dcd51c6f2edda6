"""Fields and base classes of every schema: exact numbers, aware times, clean text."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

from service import encoding

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_MAGNITUDE = 60
_OLDER_NAMES = {"rss_feed": "rss"}


class Arguments(Schema):
    """What a caller sends; a name that is not known is an error, not noise."""

    class Meta:
        """Refuse what is not known."""

        unknown = RAISE


class Answer(Schema):
    """What a caller gets; clients must ignore members they do not know."""

    class Meta:
        """Let later versions add members."""

        unknown = EXCLUDE


class Word(fields.String):
    """A short text from outside, without control characters, trimmed."""

    def __init__(self, *, max_length: int = 100, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=max_length), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if _CONTROL.search(text):
            raise ValidationError("Must not contain control characters.")
        return text.strip()


class SourceName(Word):
    """The name of a source, in any case and also by its older name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        name = super()._deserialize(value, attr, data, **kwargs).lower()
        return _OLDER_NAMES.get(name, name)


class Flag(fields.Boolean):
    """True or false of JSON; 0, ``"no"`` and their kin are neither."""

    def _deserialize(self, value: Any, *_where: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Exact(fields.Decimal):
    """A number with all its digits: never a float on the way, in or out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_nan=False, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        number: Decimal = super()._deserialize(value, attr, data, **kwargs)
        if number and abs(number.adjusted()) > _MAX_MAGNITUDE:
            raise ValidationError("Is beyond any price.")
        return number


class Moment(fields.AwareDateTime):
    """A time as RFC 3339, in UTC with ``Z``; a bare date is accepted from callers."""

    def __init__(self, *, end_of_day: bool = False, **kwargs: Any) -> None:
        """Say what a bare date means.

        Args:
            end_of_day: The last microsecond of that day instead of the first.
            kwargs: As for any field.
        """
        super().__init__(format="iso", default_timezone=UTC, **kwargs)
        self._end_of_day = end_of_day

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            day = date.fromisoformat(value)
        except (TypeError, ValueError):
            moment: datetime = super()._deserialize(value, attr, data, **kwargs)
            return _in_utc(moment)
        start = datetime.combine(day, time.min, UTC)
        return start + timedelta(days=1, microseconds=-1) if self._end_of_day else start

    def _serialize(self, value: Any, *_where: Any, **_kwargs: Any) -> str | None:
        return None if value is None else encoding.rfc3339(value)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValidationError("Is beyond the calendar.") from error


class Problem(Answer):
    """An error as RFC 9457 problem details."""

    type = fields.String(
        metadata={"description": "Stable URI of the kind of problem.", "format": "uri"}
    )
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    instance = fields.String()
    request_id = fields.String()
    code = fields.Integer(metadata={"description": "The same as `status`."})
    message = fields.String(metadata={"description": "The same as `detail`."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Messages by field."},
    )
