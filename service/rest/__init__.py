"""What every endpoint has without saying so."""

from service.rest.admission import add_rate_limit_headers, admit, require
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
)
from service.rest.blueprints import Api, Blueprint, either, refuse_arguments
from service.rest.document import complete
from service.rest.front import FrontDoor
from service.rest.shared import Delivery, delivery, dependencies, lasting, reading, writing

__all__ = [
    "Api",
    "Blueprint",
    "Delivery",
    "FrontDoor",
    "about_request",
    "actor",
    "add_rate_limit_headers",
    "admit",
    "answer_list",
    "audit",
    "complete",
    "delivery",
    "dependencies",
    "either",
    "export_list",
    "lasting",
    "link_next",
    "read_page",
    "reading",
    "refuse_arguments",
    "require",
    "send",
    "send_export",
    "writing",
]
