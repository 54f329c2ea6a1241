"""The text part of a mail, derived once per template from its HTML: links shown, layout tables unfolded."""

from __future__ import annotations

import re

from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement

from notify.kinds.tokens import Tokens
from notify.passages import tidy

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TABLE_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>table|thead|tbody|tfoot|tr|td|th)\b(?P<attributes>[^>]*)>", re.IGNORECASE
)
_LINK = re.compile(r"\[(?P<text>[^\[\]\n]+)\]\((?P<url>[^()\s]+)\)")
_PARAGRAPH = "section"  # stands for a cell of a layout table
_CONFIG = ParserConfig(
    css={
        **CSS_PROFILES["strict"],
        _PARAGRAPH: HtmlElement(display=Display.block, margin_before=1, margin_after=1),
    },
    display_links=True,
)


def from_html(html: str, tokens: Tokens) -> str:
    """The text of `html`, its Jinja still hidden; a line that holds only statements leaves no blank line behind."""
    visible = _COMMENT.sub(lambda match: tokens.statements(match[0]), html)
    text = get_text(_unfold(visible), _CONFIG).replace("\N{NO-BREAK SPACE}", " ")
    lines = "\n".join(_links(line.rstrip(), tokens) for line in text.splitlines())
    return tokens.close_up(tidy(lines) + "\n")


def _links(line: str, tokens: Tokens) -> str:
    """`[text](url)`; `text: url` when alone on its line; the address alone when that is the text."""

    def shown(match: re.Match[str]) -> str:
        text, url = match["text"], match["url"]
        if tokens.written(text) == tokens.written(url).removeprefix("mailto:"):
            return text
        return f"{text}: {url}" if match[0] == line.strip() else match[0]

    return _LINK.sub(shown, line)


def _unfold(html: str) -> str:
    """Tables as plain blocks, so that Jinja between their rows keeps its place.

    Layout tables (`role="presentation"`) give a paragraph per cell, tables of data a line per row.
    """
    layout: list[bool] = []
    first_cell = True

    def unfolded(tag: re.Match[str]) -> str:
        nonlocal first_cell
        name, close = tag["name"].lower(), tag["close"]
        if name == "table":
            if not close:
                layout.append("presentation" in tag["attributes"].lower())
            of_layout = layout.pop() if close and layout else bool(layout and layout[-1])
            gap = "" if of_layout else f"<{_PARAGRAPH}></{_PARAGRAPH}>"
            return f"</div>{gap}" if close else f"{gap}<div>"
        if name == "tr":
            first_cell = True
            return f"<{close}div>"
        if name not in ("td", "th"):
            return ""
        if layout and layout[-1]:
            return f"<{close}{_PARAGRAPH}>"
        separator = "" if close or first_cell else " | "
        first_cell = False
        return f"<{close}span>" if close else f"{separator}<span>"

    return _TABLE_TAG.sub(unfolded, html)
