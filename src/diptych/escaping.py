r"""Text from strangers (names of files, classes, columns, models) made harmless for what shows it: one function each.

A name may hold anything that a file system or a table allows: control characters that a terminal obeys, signs that turn
the direction of writing, line breaks, formulas, markup. Each function shows what is there, rather than leaving it out.

=================  ====================================================================================================
`for_terminal`     control characters, line breaks, invisible signs and signs of direction as their numbers: ``\x1b``
`for_html`         the same, and ``<``, ``>``, ``&`` and quotation marks as HTML writes them
`for_markdown`     the same as for a terminal, and every sign that would begin markup behind a backslash
`for_spreadsheet`  a cell that a spreadsheet would compute begins with an apostrophe
`json_line`        JSON on one line, with such signs as JSON writes them: ``\u001b``
=================  ====================================================================================================
"""

import json
import re
from html import escape
from typing import Any

# Control characters (C0, C1), line and paragraph separators, lone surrogates, and what nobody sees: signs of direction
# (Unicode's report 36 on spoofing), spaces without width, tags. The two joiners stay: emoji and Persian need them.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# OWASP, "CSV injection": what begins a formula, in both widths, also behind spaces; and a control character.
_FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?%?", flags=re.IGNORECASE)
# What CommonMark and GitHub take for markup within a line: an underscore between letters and a lone colon are none.
_MARKUP = re.compile(r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", flags=re.IGNORECASE)
_LINE_MARKUP = re.compile(r"\s*(#|[-+=]|\d+(?=[.)](?:\s|$)))")  # at the beginning of a line


def for_terminal(text: str) -> str:
    r"""One line of text, in which nothing is obeyed: "a\x1b[2J.jpg" is shown as it is written here."""
    return _HIDDEN.sub(lambda match: _number(match[0]), text)


def for_html(text: str) -> str:
    """Text for the content of an element or the value of an attribute in quotation marks."""
    return escape(for_terminal(text))


def for_markdown(text: str) -> str:
    """Text within a paragraph, an item or a cell of a table, in which nothing is markup."""
    escaped = _MARKUP.sub(lambda match: f"\\{match[0]}", for_terminal(text))
    begins = _LINE_MARKUP.match(escaped)
    if begins is None:
        return escaped
    at = begins.end() if begins[1].isdigit() else begins.start(1)
    return f"{escaped[:at]}\\{escaped[at:]}"


def for_spreadsheet(cell: str) -> str:
    """A cell of a table for spreadsheets: text that would be computed begins with an apostrophe, numbers do not.

    Cells that begin with an apostrophe before such text get another one, so that taking one away gives every cell back.
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def json_line(value: Any, *, ascii_only: bool = False) -> str:
    r"""A value as JSON on one line, which does nothing to a terminal; ``ascii_only`` writes é as ``\u00e9``, too."""
    text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)
    return _HIDDEN.sub(lambda match: "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1], text)


def _number(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":  # a byte of a name that is not UTF-8
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()
