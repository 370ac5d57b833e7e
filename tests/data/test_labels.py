import numpy as np
import pytest

from diptych.data import labels


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"10", "9", "1"}, ("1", "9", "10")),
        ({"b", "a", "10"}, ("10", "a", "b")),
        ({"-1", "2"}, ("-1", "2")),
        (set(), ()),
    ],
)
def test_order_of_classes(names, expected):
    assert labels.sort_class_names(names) == expected


def test_names_outside_the_known_classes_come_last():
    numbers, classes = labels.labels_from_names(["cow", None, "dog", "", "ant"], ("dog",))
    assert classes == ("dog", "ant", "cow")
    assert numbers.tolist() == [2, -1, 0, -1, 1]


def test_names_to_labels_and_back():
    lists = [["b", "a"], [], ["c"]]
    indicators, classes = labels.labels_from_name_lists(lists)
    assert labels.label_names(indicators, classes) == [["a", "b"], [], ["c"]]
    assert labels.label_names(np.array([1, -1]), ("a", "b")) == [["b"], []]


def test_renumbering_drops_labels_of_other_classes():
    assert labels.renumber(np.array([0, 1, -1]), ("a", "b"), ("b",)).tolist() == [-1, 0, -1]
    assert labels.renumber(np.array([[True, False]]), ("a", "b"), ("b", "a")).tolist() == [[False, True]]


def test_two_spellings_of_one_name_are_one_class():
    alike = ["caf\u00e9", "cafe\u0301"]
    numbers, classes = labels.labels_from_names([*alike, "tea"])
    assert (numbers.tolist(), classes) == ([0, 0, 1], ("caf\u00e9", "tea"))
    indicators, classes = labels.labels_from_name_lists([alike, ["tea"]])
    assert (indicators.tolist(), classes) == ([[True, False], [False, True]], ("caf\u00e9", "tea"))
    assert labels.labels_from_values([0, 1], 2, ["cafe\u0301", "tea"])[1] == classes
    assert labels.renumber(np.array([0, 1]), [alike[1], "tea"], ["tea", alike[0]]).tolist() == [1, 0]
    assert [labels.find_class(name, alike[1:]) for name in (*alike, "tea")] == [0, 0, None]
