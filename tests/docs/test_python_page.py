"""The code of docs/python.md runs, in order, beside a folder of pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
SCIKIT_LEARN = "scikit-learn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Dark cats and bright dogs, for training and for a test."""
    folder, draw = tmp_path_factory.mktemp("page"), np.random.default_rng(0)
    for part, count in (("photos", 20), ("test", 6)):
        for name, base in (("cat", 40), ("dog", 150)):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = (base + draw.integers(0, 60, (16, 16, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{i}.png")
    (folder / "cat.png").write_bytes((folder / "test" / "cat" / "0.png").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def run(section: str, names: dict[str, Any]) -> None:
    for block in re.findall(r"```python\n(.*?)```", SECTIONS[section], flags=re.DOTALL):
        exec(compile(block, f"docs/python.md, {section}", "exec"), names)


def test_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for section in SECTIONS:
        if section != SCIKIT_LEARN:
            run(section, names)
    assert names["answer"].path == "cat.png"
    assert len(names["table"]) == len(names["predictions"]) == 12
    assert names["logits"].shape == (1, 2)
    assert names["tick"].done
    assert names["tick"].scores["error"] < 0.5
    assert (folder / "autoencoder" / "history.jsonl").is_file()


def test_the_section_on_scikit_learn_runs(folder: Path) -> None:
    names: dict[str, Any] = {}
    run("Pictures in any form", names)
    run(SCIKIT_LEARN, names)
    assert names["search"].best_score_ > 0.9
