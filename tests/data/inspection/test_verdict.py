import pytest

from diptych.data.inspection.verdict import inspection_verdict

CLASSES = {"cat": 100, "dog": 100}


@pytest.mark.parametrize(
    ("issues", "leaks", "classes", "word", "named"),
    [
        ({}, 0, CLASSES, "ready", "Ready"),
        ({"blurred": 3, "exact copy": 2}, 0, CLASSES, "look", "a look"),
        ({"label error": 3}, 0, CLASSES, "look", "a look"),
        ({"label error": 4}, 0, CLASSES, "mend", "labels that may be wrong (4)"),
        ({"copies with different labels": 1}, 0, CLASSES, "mend", "different labels (1)"),
        ({"unreadable": 2}, 0, CLASSES, "mend", "unreadable (2)"),
        ({}, 5, CLASSES, "mend", "copies across the parts (5)"),
        ({}, 0, {"cat": 100, "dog": 19}, "mend", "fewer than 20 pictures (1)"),
    ],
)
def test_what_spoils_training_is_named(
    issues: dict[str, int], leaks: int, classes: dict[str, int], word: str, named: str
) -> None:
    verdict = inspection_verdict(200, classes, issues, leaks, 20)
    assert verdict.word == word
    assert named in verdict.sentence
    assert ("--manifest" in verdict.next_step) == (word == "mend")


def test_pictures_without_classes_are_for_a_synthesizer() -> None:
    assert "diptych fit flow" in inspection_verdict(200, {}, {}, 0, 20).next_step
