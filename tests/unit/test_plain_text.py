"""Markup from outside as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain import plain_text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("AT&amp;T", "AT&T"),
        ("<b>Bit</b>coin", "Bitcoin"),
        ("a<br>b<p>c</p>d", "a b c d"),
        ("5 < 6 & 7 > 3", "5 < 6 & 7 > 3"),
        ("up<script>alert(1)</script>!", "up!"),
        ("<SCRIPT src=x>alert(1)</ScRiPt >safe", "safe"),
        ("safe<script>alert(1)", "safe"),
        ("<img src=x onerror=alert(1)>hi", "hi"),
        ("<style>p{}</style>a<!-- b -->c", "ac"),
        ("a<!-- b", "a"),
        ("<sc<b>ript>alert(1)", "alert(1)"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("  two\n\tlines\u200b \x07", "two lines"),
        ("<![CDATA[x]]>", ""),
        ("<a" * 9 + ">" * 9, "a" * 4 + ">" * 4),
    ],
)
def test_tags_go_and_text_stays(markup, text):
    assert plain_text.from_markup(markup, max_chars=100) == text


def test_a_long_text_is_cut_at_a_word():
    assert plain_text.shortened("one two three", 9) == "one two…"
    assert plain_text.shortened("a" * 20, 9) == "a" * 8 + "…"
    assert plain_text.shortened("short", 9) == "short"


pieces = st.sampled_from(
    ["<", ">", "/", "script", "<b>", "</", "<!--", "-->", "&lt;", "x", " ", '"']
)


@given(st.lists(pieces, max_size=40).map("".join) | st.text(max_size=100))
def test_no_tag_that_was_there_comes_out(markup):
    text = plain_text.from_markup(markup.replace("&", ""), max_chars=1000)
    assert "<script>" not in text
    assert "<b>" not in text
    assert all(character.isprintable() or character in "\u200c\u200d" for character in text)
