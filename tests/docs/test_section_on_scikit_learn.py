"""What docs/python.md says of scikit-learn is so."""

from pathlib import Path
from typing import Any

from tests.docs.python_page import SCIKIT_LEARN, run


def test_the_section_on_scikit_learn_runs(pets: Path) -> None:
    names: dict[str, Any] = {}
    run("Pictures in any form", names)
    run(SCIKIT_LEARN, names)
    assert names["search"].best_score_ > 0.9
