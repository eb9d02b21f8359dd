"""Parts of the page as HTML; every text is escaped. Pure."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_CODE: Final = re.compile("`([^`]+)`")


def heading(text: str) -> str:
    """Return the heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def note(text: str) -> str:
    """Return a paragraph in small print; what stands between backquotes is a command."""
    told = _CODE.sub(r"<code>\1</code>", escape(text))
    return f'<p class="note">{told}</p>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is of names; on a small screen it is moved sideways."""
    body = "".join(_row("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{_row("th", heads)}</thead><tbody>{body}</tbody></table></div>'


def _row(tag: str, cells: Sequence[str]) -> str:
    kinds = [' class="name"', *[""] * (len(cells) - 1)]
    return (
        f"<tr>{''.join(f'<{tag}{kind}>{escape(cell)}</{tag}>' for kind, cell in zip(kinds, cells, strict=True))}</tr>"
    )
