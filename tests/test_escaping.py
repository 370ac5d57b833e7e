"""What strangers write into names is shown, and neither obeyed, nor computed, nor taken for markup."""

import html
import json

import pytest

from diptych.escaping import for_html, for_markdown, for_spreadsheet, for_terminal, json_line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[2J\x07.jpg", r"a\x1b[2J\x07.jpg"),
        ("two\nlines\r\tx", r"two\nlines\r\tx"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\u2066x\u2069\u200b\ufeff", r"\u2066x\u2069\u200b\ufeff"),
        ("\x9b31m\x85\u2028", r"\x9b31m\x85\u2028"),
        ("caf\udce9 \ud800", r"caf\xe9 \ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("Ébène 猫 मिर्च\u200d 👩\u200d🚀\u3000\xa0", "Ébène 猫 मिर्च\u200d 👩\u200d🚀\u3000\xa0"),
    ],
)
def test_nothing_that_a_terminal_obeys_reaches_it(name: str, shown: str) -> None:
    assert for_terminal(name) == shown
    assert for_terminal(shown) == shown
    assert html.unescape(for_html(f'<b id="{name}">')) == f'<b id="{shown}">'
    assert not set('<>"') & set(for_html(f'<b id="{name}">'))


@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_reads_back_as_it_was_and_is_harmless_to_a_terminal(ascii_only: bool) -> None:
    value = {"path": "\x1b\x7f\x9b\u202e\U000e0041\udcff 猫🐱"}
    line = json_line(value, ascii_only=ascii_only)
    assert json.loads(line) == value
    assert for_terminal(line) == line
    assert ("猫🐱" in line) != ascii_only


@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(A1)", "+x", "-cat", "-5+3", "  =x", "\t=x", "\rx", "＝1", "'=1", "''-x"]
)
def test_a_cell_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(cell: str) -> None:
    assert for_spreadsheet(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "cat", "-5", "+1.5e-3", "-.5", "12%", "'cat'", "a=b", "x@y", "0.93"])
def test_other_cells_stay_and_so_do_numbers(cell: str) -> None:
    assert for_spreadsheet(cell) == cell


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[x](https://evil.example)", r"\[x\](https\://evil.example)"),
        ("`id` ~~x~~ $y$ &lt;", r"\`id\` \~\~x\~\~ \$y\$ \&lt;"),
        ("**_b_** a_b", r"\*\*\_b\_\*\* a_b"),
        ("# title", r"\# title"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("line\n# title", r"line\\n# title"),
        ("www.evil.example", r"www\.evil.example"),
        ("cat is mistaken for dog: 12 % (n = 5).", "cat is mistaken for dog: 12 % (n = 5)."),
    ],
)
def test_markup_in_names_is_text(name: str, written: str) -> None:
    assert for_markdown(name) == written
