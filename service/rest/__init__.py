"""What every endpoint has without saying so."""

from service.rest.admission import add_rate_limit_headers, admit
from service.rest.answers import (
    about_request,
    actor,
    answer_list,
    audit,
    export_list,
    link_next,
    read_page,
    send,
    send_export,
    send_list,
)
from service.rest.blueprints import Api, Blueprint, NoArguments, either
from service.rest.front import FrontDoor
from service.rest.shared import Delivery, delivery, dependencies, reading, writing

__all__ = [
    "Api",
    "Blueprint",
    "Delivery",
    "FrontDoor",
    "NoArguments",
    "about_request",
    "actor",
    "add_rate_limit_headers",
    "admit",
    "answer_list",
    "audit",
    "delivery",
    "dependencies",
    "either",
    "export_list",
    "link_next",
    "read_page",
    "reading",
    "send",
    "send_export",
    "send_list",
    "writing",
]
