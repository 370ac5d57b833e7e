"""The one reader of JSON: what is there, what is wanted, and where."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from diptych import files, json_reader
from diptych.json_reader import JSONError


class Pet(Struct):
    name: str
    age: Annotated[int, Meta(ge=0, le=40)] = 0
    weights: list[float] = []
    owner: str | None = None


def test_a_file_is_read_as_its_type_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "pet.json"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + '{"name": "Mia 犬", "age": 3, "weights": [1, 2.5], "of a later version": 1}'.encode())
        assert json_reader.read(path, Pet) == Pet("Mia 犬", 3, [1.0, 2.5])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "$.name is missing"),
        ('{"name": 3}', "$.name is 3, not a text"),
        ('{"name": "Mia", "age": -1}', "$.age is -1, not a whole number ≥ 0"),
        ('{"name": "Mia", "age": true}', "$.age is true, not a whole number"),
        ('{"name": "Mia", "age": 2.5}', "$.age is 2.5, not a whole number"),
        ('{"name": "Mia", "weights": [1, "x"]}', '$.weights[1] is "x", not a number'),
        ('{"name": "Mia", "weights": {}}', "$.weights is an object, not a list"),
        ('{"name": "Mia", "owner": []}', "$.owner is a list, not a text or null"),
        ('["Mia"]', "$ is a list, not an object"),
        ('{"name": "Mia", "name": "Max"}', 'the key "name" is there twice'),
        ('{"name": Infinity}', "Infinity is no number of JSON"),
        ('{"name": 1e400}', "the number 1e400 is too large"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "pet.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(JSONError) as caught:
        json_reader.read(path, Pet, "Write it again")
    assert caught.value.reason == reason
    assert str(caught.value) == f"{path}: {reason}. Write it again."


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(JSONError) as caught:
        json_reader.convert({"name": "Mia", "age": "x" * 5000}, Pet)
    assert len(caught.value.reason) < 100


def test_names_of_files_that_are_no_utf8_come_back() -> None:
    record: dict[str, Any] = {"name": "caf\udce9 [{"}
    assert json_reader.parse(files.encoded(files.json_text(record))) == record


def test_half_a_surrogate_pair_is_no_character() -> None:
    assert json_reader.parse(r'{"a": "\ud83d\ude00"}') == {"a": "😀"}
    with pytest.raises(JSONError, match="half of a surrogate pair"):
        json_reader.parse(r'{"a": "\ud800"}')


def test_levels_are_counted_outside_of_texts() -> None:
    assert json_reader.parse('["' + "[" * 1000 + r"\"" + "{" * 1000 + '"]') == ["[" * 1000 + '"' + "{" * 1000]
    assert json_reader.parse("[" + "[1]," * 1000 + "[1]]")[-1] == [1]
    with pytest.raises(JSONError, match="more than 64 levels"):
        json_reader.parse("[" * 65 + "]" * 65)


def test_other_programs_write_nan() -> None:
    assert json_reader.parse('{"a": NaN, "b": -Infinity}', foreign=True) == {"a": None, "b": None}


def test_only_an_ordinary_file_of_a_bounded_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b" " * 1000)
    with pytest.raises(JSONError, match="the limit is"):
        json_reader.read_bytes(tmp_path / "large.json", 999)
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(JSONError, match="not a file"):
            json_reader.read_bytes(path)
