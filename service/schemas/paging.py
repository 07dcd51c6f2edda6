"""The arguments of a list: three styles of paging, never mixed."""

from typing import Any, ClassVar

from flask import request
from marshmallow import ValidationError, fields, post_load, validate

from service import formats
from service.pagination import MAX_OFFSET, PageRequest
from service.schemas.base import Answer, Arguments

_POSITIVE = validate.Range(min=1, max=2**31 - 1)


class Paged(Arguments):
    """Arguments every list takes; subclasses say how much is given at once.

    Loaded, they are one :class:`~service.pagination.PageRequest` under ``paging``.
    """

    DEFAULT_LIMIT: ClassVar[int] = 50
    MAX_LIMIT: ClassVar[int] = 200
    DEFAULT_PAGE_SIZE: ClassVar[int] = 20
    MAX_PAGE_SIZE: ClassVar[int] = 100
    LIMIT_IS_PAGE_SIZE: ClassVar[bool] = False

    page = fields.Integer(
        validate=validate.Range(1, MAX_OFFSET), metadata={"description": "Page number, from 1."}
    )
    page_size = fields.Integer(
        validate=_POSITIVE,
        metadata={"description": "Rows on a page: 20 unless given, 100 at most."},
    )
    per_page = fields.Integer(
        validate=_POSITIVE, metadata={"description": "Another name of `page_size`."}
    )
    limit = fields.Integer(
        validate=_POSITIVE,
        metadata={"description": "Rows at most: 50 unless given, 200 at most; any in an export."},
    )
    offset = fields.Integer(
        validate=validate.Range(0, MAX_OFFSET), metadata={"description": "Rows to pass over."}
    )
    cursor = fields.String(
        validate=(validate.Length(max=1000), validate.Regexp("^[A-Za-z0-9_-]+$")),
        metadata={"description": "`pagination.next_cursor` of the page before; best for walking."},
    )
    count = fields.String(
        validate=validate.OneOf(("exact", "estimated", "none")),
        metadata={"description": "How `total` is found; by default what is fast."},
    )

    @post_load
    def _one_style(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        names = ("page", "page_size", "per_page", "limit", "offset", "cursor", "count")
        given = {name: data.pop(name) for name in names if name in data}
        count = given.pop("count", None)
        self._refuse_mixtures(given)
        limit = self._limit(given, is_export=self._is_export())
        offset = given.get("offset", (given.get("page", 1) - 1) * limit)
        if offset > MAX_OFFSET:
            raise ValidationError(f"Pages end at row {MAX_OFFSET}; walk by cursor.", "page")
        data["has_limit"] = bool(given.keys() & {"limit", "page_size", "per_page"})
        data["paging"] = PageRequest(
            limit=limit, offset=offset, cursor=given.get("cursor"), count=count
        )
        return data

    def _refuse_mixtures(self, given: dict[str, Any]) -> None:
        pairs = [
            ("page", "offset"),
            ("page", "cursor"),
            ("offset", "cursor"),
            ("page_size", "per_page"),
        ]
        pairs += [("page_size", "offset"), ("per_page", "offset")]
        pairs += [("page_size", "limit"), ("per_page", "limit")]
        if not self.LIMIT_IS_PAGE_SIZE:
            pairs.append(("page", "limit"))
        for one, other in pairs:
            if one in given and other in given:
                sentence = f"Paging styles must not be mixed: {one} and {other}."
                raise ValidationError({one: [sentence], other: [sentence]})

    def _is_export(self) -> bool:
        """Tell whether a file is asked for, be it by ``format`` or by ``Accept``."""
        return "format" in self.fields and formats.wanted(request) != "json"

    def _limit(self, given: dict[str, Any], *, is_export: bool) -> int:
        for name in ("page_size", "per_page"):
            if name in given:
                return _at_most(self.MAX_PAGE_SIZE, name, given[name])
        if "limit" in given:
            limit: int = given["limit"]
            return limit if is_export else _at_most(self.MAX_LIMIT, "limit", limit)
        if "page" in given and not self.LIMIT_IS_PAGE_SIZE:
            return self.DEFAULT_PAGE_SIZE
        return self.DEFAULT_LIMIT


def _at_most(maximum: int, name: str, value: int) -> int:
    if value > maximum:
        raise ValidationError(f"Must be at most {maximum}.", name)
    return value


def format_field() -> fields.String:
    """Return the argument ``format``."""
    return fields.String(
        validate=validate.OneOf(tuple(formats.MEDIA_TYPES)),
        metadata={
            "description": "Overrides `Accept`. All but json are exports of the whole result."
        },
    )


class Pagination(Answer):
    """Where a page stands in its list, in the words of every style."""

    limit = fields.Integer()
    offset = fields.Integer()
    page = fields.Integer()
    page_size = fields.Integer()
    per_page = fields.Integer()
    returned = fields.Integer(metadata={"description": "Rows in this answer."})
    total = fields.Integer(
        allow_none=True, metadata={"description": "Rows in the list; null with `count=none`."}
    )
    total_items = fields.Integer(allow_none=True)
    total_pages = fields.Integer(allow_none=True)
    next_cursor = fields.String(
        allow_none=True, metadata={"description": "Send it as `cursor`; null on the last page."}
    )


class RequestMeta(Answer):
    """About the request rather than the data."""

    request_id = fields.String(metadata={"description": "The id of this request."})
    api_latency_ms = fields.Float(metadata={"description": "Time spent in the API, in ms."})


class Page(RequestMeta):
    """A page of a list; subclasses say what ``data`` holds."""

    total = fields.Integer(allow_none=True)
    page = fields.Integer()
    page_size = fields.Integer()
    pagination = fields.Nested(Pagination)
    meta = fields.Nested(RequestMeta)

    class Meta(Answer.Meta):
        """Keep the order of the contract."""

        fields: ClassVar[tuple[str, ...]] = (
            "data",
            "total",
            "page",
            "page_size",
            "request_id",
            "api_latency_ms",
            "pagination",
            "meta",
        )
