"""The front door on the wire."""

from marshmallow import fields

from service.schemas.base import Answer


class ServiceInfo(Answer):
    """What this is and where to go on."""

    name = fields.String(metadata={"example": "kasparro"})
    version = fields.String()
    status = fields.String()
    endpoints = fields.Dict(keys=fields.String(), values=fields.String())
    docs = fields.String()
