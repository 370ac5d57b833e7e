"""Names from clients: what may become a file, and what may be read."""

import pytest

from diptych.errors import UsageError
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.names import inside, picture_name, safe_name

HOSTILE = [
    "", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "%2e%2e", "a\nb", ".hidden", "-rf", "a.", "a ", " a",
    "．．", "a／b", "a∕b", "a⁄b", "․․", "…", "a\u202egpj", "a\u200bb", "ﬁg", "C:", "a:b", "nul", "CON.png", "com1",
    "a*", "a" * 201, "é" * 101, "~", "$HOME", "`id`", "a;b", "a|b", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_what_could_mean_another_place_or_look_like_another_name_is_refused(name):
    with pytest.raises(UsageError, match="Use letters, digits"):
        safe_name(name)


@pytest.mark.parametrize("name", ["cat", "猫", "größe 2", "IMG_0001 (1)", "x-1.2+a", "कुत्ता", "a'b & c, d"])
def test_names_as_people_give_them_are_taken(name):
    assert safe_name(name) == name
    assert picture_name(f"{name}.JPG") == f"{name}.JPG"


def test_a_decomposed_name_becomes_the_composed_one():
    assert safe_name("cafe\u0301") == "caf\u00e9"


def test_a_picture_is_called_as_pictures_are():
    with pytest.raises(UsageError, match="Use letters, digits"):
        picture_name("../cat.png")
    for name in ("run.py", "page.html", "cat", "cat.png.exe", "cat.svg"):
        with pytest.raises(UsageError, match="does not end as pictures do"):
            picture_name(name)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "set"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"1")
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to(tmp_path)
    (folder / "within.png").symlink_to(folder / "cat" / "1.png")
    (folder / "loop").symlink_to(folder / "loop")
    return folder


@pytest.mark.parametrize(
    "path",
    ["../secret.png", "cat/../../secret.png", "/etc/passwd", "cat//1.png", "./cat/1.png", "cat\\1.png", "cat/1.png\0",
     "out.png", "up/secret.png", "loop", "absent", "", "x" * 5000, "..%2fsecret.png"],
)  # fmt: skip
def test_nothing_outside_of_a_folder_is_read(folder, path):
    with pytest.raises(RefusedError) as refused:
        inside(folder, path)
    assert refused.value.status == 404


def test_what_is_inside_is_read(folder):
    assert inside(folder, "cat/1.png").read_bytes() == b"1"
    assert inside(folder, "within.png").read_bytes() == b"1"
