import errno

from diptych.data.messages import counted, explain_os_error, join_names, printable


def test_the_first_names_of_many_are_joined_and_the_rest_counted():
    assert join_names([]) == ""
    assert join_names(["a", "b", "c"]) == "a, b, c"
    assert join_names(list("abcdefgh")) == "a, b, c and 5 more"
    assert join_names(list("abc"), 2) == "a, b and 1 more"


def test_one_is_not_many():
    assert [counted(n, "picture") for n in (0, 1, 1200)] == ["0 pictures", "1 picture", "1,200 pictures"]
    assert [counted(n, "picture is", "pictures are") for n in (1, 2)] == ["1 picture is", "2 pictures are"]


def test_a_path_that_is_not_utf8_can_be_printed():
    assert printable(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == r"caf\xe9.png"


def test_file_errors_are_explained_in_words():
    assert explain_os_error(FileNotFoundError(errno.ENOENT, "No such file")) == "the file is not there"
    assert explain_os_error(OSError(errno.EIO, "Input/output error")) == "it cannot be read (Input/output error)"
