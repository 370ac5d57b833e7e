"""Synthesizers: one that repeats its training pictures is flagged, one that does not is not; what is refused."""

import numpy as np
import pytest

from diptych import audit
from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.synthesis.vae import VAE
from tests.audit.planted import shuffled_rows

DIGITS = Images.open("digits")
ROWS = shuffled_rows(7)
SEEN, UNSEEN, OTHERS = DIGITS[ROWS[:200]], DIGITS[ROWS[200:500]], DIGITS[ROWS[500:1700]]


class Repeating:
    """A program that gives out pictures of a folder, a little brighter or darker."""

    def __init__(self, pictures: Images) -> None:
        self.pictures = pictures

    def sample(self, n: int, *, seed: int = 0) -> Images:
        draw = np.random.default_rng(seed)
        pixels = self.pictures.pixels(8).permute(0, 2, 3, 1).numpy()[draw.integers(0, len(self.pictures), n)]
        changed = pixels + draw.integers(-4, 5, (n, 1, 1, 1))
        return Images.from_arrays(changed.clip(0, 255).astype(np.uint8), origins=np.full(n, "synthetic"))


def test_a_synthesizer_that_repeats_training_pictures_is_flagged_with_the_pairs():
    report = audit.privacy(Repeating(SEEN), seen=SEEN, unseen=UNSEEN)
    assert report.verdict.word == "copies"
    assert report.scores["copies"].value > 0.9
    assert report.scores["training_pictures_found"].low > 0.3
    assert len(report.tables["Copies"].rows) > 100
    assert "Copies and the training pictures that they copy" in report.figures
    assert "taken for granted" in report.findings[0] or "for granted" in report.findings[0]


def test_a_program_that_gives_out_other_pictures_of_the_same_kind_is_not():
    report = audit.privacy(Repeating(OTHERS), seen=SEEN, unseen=UNSEEN)
    assert report.verdict.word == "no_sign"
    assert report.scores["training_pictures_found"].low < 0.01


def test_a_vae_is_also_attacked_by_its_likelihood():
    model = VAE(size=8, epochs=1).fit(SEEN[:95], validate=OTHERS[:20])
    report = audit.privacy(model, seen=SEEN, unseen=UNSEEN[:200], number=100)
    attacks = [row[0] for row in report.tables["What an attacker finds"].rows]
    assert attacks == ["nearness of 100 samples", "likelihood, against 2 reference models"]
    assert report.verdict.word == "no_sign"
    assert report.facts["training pictures"] == 95


def test_what_is_not_for_a_synthesizer_is_refused():
    with pytest.raises(UsageError, match="Canaries are pictures with a wrong label"):
        audit.privacy(Repeating(SEEN), seen=SEEN, unseen=UNSEEN, canaries=50)
    with pytest.raises(UsageError, match="others tell no likelihood"):
        audit.privacy(Repeating(SEEN), seen=SEEN, unseen=UNSEEN, references=2)
    with pytest.raises(UsageError, match="50 samples at least, not 20"):
        audit.privacy(Repeating(SEEN), seen=SEEN, unseen=UNSEEN, number=20)
    with pytest.raises(UsageError, match="this is something else"):
        audit.privacy("model", seen=SEEN, unseen=UNSEEN)
    with pytest.raises(DataError, match="A privacy audit takes real pictures"):
        audit.privacy(Repeating(SEEN), seen=SEEN, unseen=Repeating(OTHERS).sample(200))
