"""Markup from outside as plain text: tags dropped, entities resolved once, scripts gone.

What comes out is text and not HTML: whoever shows it in a page must escape it, as any text. It is
not :class:`html.parser.HTMLParser` because that raises on some broken markup and needs seconds for
other; every step here is linear in the length of the text.
"""

import html
import re

from tasks.domain import quality

_READ_CHARS = 50_000
_TAG = re.compile(r"</?([a-zA-Z][^\s/<>]*)[^<>]*>|<[!?][^<>]*>")
_TAG_START = re.compile(r"<(?=[a-zA-Z/!?])")
_SILENT = re.compile(
    r"<(script|style|iframe|object|noscript|template|svg|math|head)\b[^<>]*>", re.IGNORECASE
)
# Between these, words do not touch.
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption",
    "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "img", "li", "main",
    "ol", "p", "pre", "section", "table", "td", "th", "tr", "ul",
))  # fmt: skip
_LAYERS = 5
"""Tags put into tags, to be whole only when the inner ones are gone, are dropped so often."""


def from_markup(markup: str, *, max_chars: int) -> str:
    """Return the text of a piece of HTML, or of a text that may hold some.

    Args:
        markup: As the source sends it, after the container's own escapes (XML, JSON) are resolved.
        max_chars: A longer text is cut at a word and ends in an ellipsis.
    """
    text = markup[:_READ_CHARS]
    if "<" in text:
        text = _without_tags(_without_silent(_without_comments(text)))
    return shortened(visible(html.unescape(text)), max_chars)


def visible(text: str) -> str:
    """Return a text on one line without anything that cannot be seen or stored."""
    cleaned = quality.clean(text)
    if cleaned.isprintable():
        return cleaned
    kept = (
        character if character.isprintable() or character in "\u200c\u200d" else " "
        for character in cleaned
    )
    return quality.clean("".join(kept))


def shortened(text: str, max_chars: int) -> str:
    """Cut a text at a word; what is cut ends in an ellipsis."""
    if len(text) <= max_chars:
        return text
    head = text[: max_chars - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[max_chars // 2 :] else head) + "…"


def _without_comments(text: str) -> str:
    kept, position = [], 0
    while (start := text.find("<!--", position)) >= 0:
        end = text.find("-->", start)
        kept.append(text[position:start])
        if end < 0:
            return "".join(kept)
        position = end + len("-->")
    return "".join((*kept, text[position:]))


def _without_silent(text: str) -> str:
    """Drop elements whose content is not for reading; one that is not closed takes the rest along."""
    lowered = text.lower() if text.isascii() else text
    kept, position = [], 0
    while match := _SILENT.search(text, position):
        kept.append(text[position : match.start()])
        end = lowered.find(f"</{match[1].lower()}", match.end())
        position = text.find(">", end) + 1 if end >= 0 else 0
        if position <= 0:
            return "".join(kept)
    return "".join((*kept, text[position:]))


def _without_tags(text: str) -> str:
    for _ in range(_LAYERS):
        text, count = _TAG.subn(_space, text)
        if not count:
            return text
    return _TAG_START.sub("", text)


def _space(tag: re.Match[str]) -> str:
    return " " if (tag[1] or "").lower() in _BLOCKS else ""
