"""Write the OpenAPI document: ``python -m service.openapi [FILE]``."""

import json
import sys
from pathlib import Path

from service.app import describe

DOCUMENT = Path("docs/openapi.json")


def text() -> str:
    """Return the document as it stands in the repository."""
    return json.dumps(json.loads(describe()), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the document to the file named, or to its place in the repository."""
    path = Path(arguments[0]) if arguments else DOCUMENT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
