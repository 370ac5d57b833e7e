import pytest

from diptych.data.sources.labelling.tables import read_table
from diptych.errors import DataError


def cells(text, name="t.csv", encoding="utf-8"):
    return [row.cells for row in read_table(text.encode(encoding), name)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [", ", ";", "\t"])
def test_spaces_blank_rows_and_encodings(encoding, separator):
    rows = (["file", "label"], [], ["a.jpg", '"âne, gris"'], ["b.jpg ", " chat "], ["", ""])
    text = "\r\n".join(["", *(separator.join(row) for row in rows)])
    assert cells(text, encoding=encoding) == [
        {"file": "a.jpg", "label": "âne, gris"},
        {"file": "b.jpg", "label": "chat"},
    ]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_for_excel_names_the_separator(first):
    rows = read_table(f"{first}\r\nfile;label;weight,kg\r\na.jpg;cat;4,5\r\n".encode("utf-8-sig"), "t.csv")
    assert [(row.line, row.cells) for row in rows] == [(3, {"file": "a.jpg", "label": "cat", "weight,kg": "4,5"})]


def test_signs_of_no_width_are_no_part_of_a_name():
    assert cells("\u200bfile|la\u2060bel\na.png|\u200bcat\n") == [{"file": "a.png", "label": "cat"}]


def test_rows_know_their_lines():
    rows = read_table(b'file,label\n\na.jpg,"two\nlines"\nb.jpg\n', "t.csv")
    assert [(row.line, row.where) for row in rows] == [(4, "t.csv, line 4"), (5, "t.csv, line 5")]
    assert rows[1].cells == {"file": "b.jpg"}
    assert [row.line for row in read_table(b'{"a": 1}\n\n{"a": 2}\n', "t.jsonl")] == [1, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"file,label\na.jpg,retriever, golden\n",
            r"t\.csv, line 2: more cells than the first line has columns \(3, not 2\)",
        ),
        (b"file,label\na,b\nx.jpg,\xe2ne\n", r"t\.csv, line 3: the text is not UTF-8\. Save .* iconv -f WINDOWS-1252"),
        (b"PK\3\4\x14\0\6\0\xff", r"t\.csv is a spreadsheet, which is not read; save .* as \"CSV UTF-8\""),
        (b"\xd0\xcf\x11\xe0\xa1", r"t\.csv is a spreadsheet"),
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>", r"t\.csv is a web page in place of the file; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"t\.csv is a pointer of Git LFS .* git lfs pull"),
        (b"file,label,label\na,b,c\n", r'two columns have the name "label"'),
        (b'file,label\na,"b\nc,d\n', r"line 3: .*Correct the line"),
    ],
)
def test_tables_that_do_not_fit_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        read_table(data, "t.csv")


def test_json_that_nests_without_end_is_refused():
    with pytest.raises(DataError, match=r"line 2: not a JSON object"):
        read_table(b'{"a": 1}\n' + b"[" * 100_000, "t.jsonl")
