"""What notebooks are given is small, escaped, and has no colours of its own."""

import base64
import io
import re

import numpy as np
from PIL import Image

from diptych.report import Report, Score, notebook

PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


def sources(html: str) -> list[Image.Image]:
    data = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in data]


def test_thumbnails_are_small_squares_and_small_pictures_stay_exact() -> None:
    small = PHOTOGRAPH[:8, :10]
    html = notebook.pictures("two <b>pictures</b>", [PHOTOGRAPH, small, None], ["a & b", "", "cannot be read"], 3)
    shown = sources(html)
    assert [picture.size for picture in shown] == [(96, 96), (8, 8)]
    assert np.array_equal(np.asarray(shown[1]), small[:, 1:9])
    assert "two &lt;b&gt;pictures&lt;/b&gt;" in html
    assert "a &amp; b" in html
    assert "are shown" not in html
    assert len(html) < 60_000
    assert not re.search(r"(background|[^-]color):(?!inherit)", html)


def test_a_report_leads_with_its_scores_and_names_its_page() -> None:
    report = Report("Test <1>", scores={"macro_f1": Score(0.5, 0.4, 0.6, 10)}, findings=["a < b"])
    html = report._repr_html_()
    for part in ("Test &lt;1&gt;", "macro F1", "0.500 (0.400 to 0.600)", "a &lt; b", "report.save"):
        assert part in html


def test_a_model_shows_scores_with_and_without_intervals() -> None:
    html = notebook.model(
        "GAN()", {"size": "8 px"}, {"loss": 1.5, "cas": {"value": 0.5, "low": None, "high": None, "n": 4}}
    )
    assert "1.500" in html
    assert "CAS" in html
