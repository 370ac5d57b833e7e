import io

import pytest

from diptych.cli.text_rows import TextRows


def test_paths_that_do_not_fit_the_terminal_keep_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    stream = io.StringIO()
    TextRows(stream, ["path", "label", "note"], aligned=True).add(
        [
            ["photos/of/last/summer/in/the/garden/behind/the/house/cat.jpg", "cat", ""],
            ["猫/一/二/三/四/五/六/七/八/九/十/十一/十二/十三/十四/十五.jpg", "dog", "or cat"],
        ]
    )
    header, first, second = stream.getvalue().splitlines()
    assert header.index("label") == first.index("cat", 42) == 43
    assert first.startswith("…")
    assert "behind/the/house/cat.jpg  cat" in first
    assert second.endswith("十五.jpg  dog    or cat") or second.endswith("十五.jpg   dog    or cat")


def test_elsewhere_rows_are_separated_by_tabs_whatever_is_in_them() -> None:
    stream = io.StringIO()
    rows = TextRows(stream, ["path", "label", "note"], aligned=False)
    rows.add([])
    rows.add([["a\tb\n.jpg", "cat", ""]])
    rows.add([["c.jpg", "", "it is not there"]])
    assert stream.getvalue() == "path\tlabel\tnote\na\\tb\\n.jpg\tcat\nc.jpg\t\tit is not there\n"
