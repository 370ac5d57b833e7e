"""Every kind of damage in every kind of model: exit code 3, at once, in little memory, with the place in a sentence."""

from pathlib import Path

import pytest

from tests.test_hostile_artefacts import (
    CASES,
    EVERY_KIND,
    KINDS,
    models,  # noqa: F401 - a fixture
)
from tests.test_hostile_artefacts import (
    test_a_damaged_model_is_refused_at_once_with_the_place as check,
)

pytestmark = pytest.mark.soak
HERE = {(kind, name) for kind, name, _, _ in CASES}
OTHERS = [(kind, name, *case) for name, case in EVERY_KIND.items() for kind in KINDS if (kind, name) not in HERE]


def test_there_are_enough() -> None:
    assert len(CASES) + len(OTHERS) >= 200


@pytest.mark.parametrize(("kind", "name", "damage", "words"), OTHERS, ids=[f"{c[0]}: {c[1]}" for c in OTHERS])
def test_it_is_refused(models: Path, tmp_path: Path, capsys, kind: str, name: str, damage, words: str) -> None:  # noqa: F811
    check(models, tmp_path, capsys, kind, name, damage, words)
