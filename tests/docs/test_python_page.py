"""The code of docs/python.md runs, in order, beside a folder of pictures."""

from pathlib import Path
from typing import Any

from tests.docs.python_page import SCIKIT_LEARN, SECTIONS, run


def test_the_page_runs(pets: Path) -> None:
    names: dict[str, Any] = {}
    for section in SECTIONS:
        if section != SCIKIT_LEARN:
            run(section, names)
    assert names["answer"].path.endswith("cat.png")
    assert len(names["table"]) == len(names["predictions"]) == 12
    assert names["logits"].shape == (1, 2)
    assert names["tick"].done
    assert names["tick"].scores["error"] < 0.5
    assert (pets / "autoencoder" / "history.jsonl").is_file()
