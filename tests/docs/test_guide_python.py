"""The Python lines of the guide run on the models that its commands fit.

Those of the Chinese guide are the same lines, which test_translations.py asserts, so one run covers both.
"""

from pathlib import Path
from typing import Any

import numpy as np

import diptych
from tests.docs.walk import SIDE, blocks, persons_folder, working_in


def test_its_lines_run_one_after_the_other(tmp_path: Path) -> None:
    persons_folder(tmp_path)
    (tmp_path / "cat.jpg").write_bytes((tmp_path / "test" / "cat" / "0.png").read_bytes())
    names: dict[str, Any] = {"diptych": diptych, "mask": np.eye(SIDE, dtype=bool)}
    with working_in(tmp_path):
        diptych.VAE(latent=4, epochs=1).fit("photos", into="models/pets-vae")
        diptych.Flow(steps=2, epochs=1).fit("photos", into="models/pets-flow")
        programs = blocks("docs/guide.md", "python")
        for program in programs:
            exec(compile(program, "docs/guide.md", "exec"), names)
    assert len(programs) >= 2
    assert names["vae"].bits_per_dimension(diptych.Images.open(tmp_path / "test")).mean() > 0
    original = diptych.Images.open(tmp_path / "cat.jpg").picture(0)
    assert np.array_equal(names["inpainted"].picture(0)[~names["mask"]], original[~names["mask"]])
    assert not np.array_equal(names["inpainted"].picture(0), original)
