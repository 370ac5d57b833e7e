"""``diptych verdict`` in a real process, on photographs: frozen features make it short."""

from pathlib import Path

import numpy as np

from diptych.data.images import Images
from tests.cli.conftest import Terminal

SIDE = 48  # px from which on pictures are treated as photographs


def write_photographs(path: Path, count: int, seed: int) -> Path:
    """Class folders of noise that is mostly red, or mostly blue."""
    pixels = np.random.default_rng(seed).integers(0, 120, (2 * count, SIDE, SIDE, 3)).astype(np.uint8)
    pixels[:count, :, :, 0] += 100
    pixels[count:, :, :, 2] += 100
    return Images.from_arrays(pixels, ["red"] * count + ["blue"] * count).save(path)


def test_the_answer_its_page_its_figures_and_refusals(diptych: Terminal, tmp_path: Path) -> None:
    place = tmp_path
    photos, test = write_photographs(place / "photos", 30, 0), write_photographs(place / "test", 12, 1)
    verdict = ["verdict", photos, place / "vae", "--test", test, "-o", place / "out"]
    fitted, first, again, other_seed, few_seeds, no_model, sampled, in_test = diptych.several(
        ["fit", "vae", photos, "-o", place / "vae", "--size", 8, "--epochs", 1],
        verdict,
        [*verdict, "--json"],
        [*verdict, "--seed", 3],
        [*verdict, "--seeds", 2],
        ["verdict", photos, photos, "--test", test, "-o", place / "other"],
        ["sample", place / "vae", "-n", 30, "-o", place / "samples"],
        ["verdict", photos, place / "vae", "--test", place / "samples", "-o", place / "refused"],
    )
    assert fitted.code == first.code == again.code == sampled.code == 0, first.err
    assert "No: synthetic pictures did not help here (" in first.out
    assert "Twice as many real pictures would bring about" in " ".join(first.out.split())
    page = (place / "out" / "report.html").read_text(encoding="utf-8")
    assert "frozen, at 96 px" in page
    assert "A vae of the same settings was trained again on the 42 training pictures" in page  # it had seen all
    assert f"diptych inspect {photos}" in page or f"diptych fit recognizer {photos}" in page  # the next step
    found = again.json
    assert found["verdict"] == "not_recommended"
    assert found["gain"]["low"] <= 0 <= found["gain"]["high"]
    assert {"baseline", "oversampled", "strong", "synthetic-0.5", "synthetic-1", "synthetic-3"} <= set(found["arms"])
    assert found["learning_curve"]["pictures"][-1] == 42
    assert other_seed.code == 2
    assert "holds another verdict: seed differ" in other_seed.err
    assert few_seeds.code == 2
    assert "'--seeds': Input should be greater than or equal to 5" in few_seeds.err
    assert no_model.code != 0
    assert "photos" in no_model.err
    assert in_test.code == 3
    assert "is generated, as its metadata or the record of its folder says (29 others are as well)" in in_test.err
