import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from diptych.report import Card, Gallery, Report, Score, Table, Verdict, figures
from diptych.report.report import format_number, to_jsonable
from diptych.report.text import render_brief

HOSTILE = '<script>alert("x")</script> & \x07'


def card(title: str) -> Card:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    return Card(
        title, {HOSTILE: figures.picture(pixels), "heatmap": figures.picture(pixels[:8, :8])}, {"its_file": HOSTILE}
    )


def frame(grey: int) -> bytes:
    return figures.grid(np.full((2, 4, 4, 3), grey, np.uint8))


@pytest.fixture
def report() -> Report:
    return Report(
        f"Pets {HOSTILE}",
        scores={"macro_f1": Score(0.9512, 0.9, 0.97, 1360, share=True), "loss": Score(2.5, None, None, 10)},
        findings=[f"Add pictures of {HOSTILE}.", "word " * 60],
        tables={f"Per class {HOSTILE}": Table(["class", "recall", "n"], [[HOSTILE, Score(0.5, 0.2, 0.8, 9), 1234]])},
        figures={
            f"Grid {HOSTILE}": figures.grid(np.zeros((3, 4, 4, 3), np.uint8)),
            f"Gallery {HOSTILE}": Gallery(
                [frame(0), frame(90), frame(180)], ["猫", HOSTILE, ("three", "lines", HOSTILE)], group=2
            ),
        },
        replays={f"During training {HOSTILE}": {HOSTILE: frame(0), "8 pictures": frame(90), "16 pictures": frame(180)}},
        cards={f"Errors {HOSTILE}": [card(HOSTILE), card("dog")]},
        facts={"lr": 0.0015, "counts": {HOSTILE: 3}, "validate": None, "flip": True},
        parts=[Report("Part A"), Report("Part B", findings=["deep"], parts=[Report("Part C", findings=["deeper"])])],
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.all: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_escaped_and_needs_no_external_resource(report: Report, tmp_path: Path) -> None:
    page = report.save(tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    assert page == report.html()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    names = {name for name, _ in tags.all}
    assert not names & {"script", "link", "iframe"}
    sources = [value for _, attributes in tags.all for key, value in attributes.items() if key in ("src", "href")]
    assert all(source and source.startswith(("data:image/", "#part-")) for source in sources)
    assert "\x07" not in page
    assert not re.search(r"url\(|@import|https?://", page)
    assert "95.1%" in page
    assert "90.0% to 97.0%" in page
    assert "data:image/jpeg;base64," in page
    assert page.index("Part B</h2>") < page.index("Part C</h3>") < page.index("deeper")
    assert "--low:0.200;--high:0.800;--value:0.500" in page
    assert "prefers-color-scheme" in page
    assert "@media print" in page


def test_a_replay_is_a_slider_that_needs_no_script(report: Report) -> None:
    tags = Tags()
    tags.feed(report.html())
    names = [name for name, _ in tags.all]
    stops = [i for i, name in enumerate(names) if name == "input"]
    assert [names[i + 1] for i in stops] == ["figure"] * 3  # which the style sheet relies on
    buttons = [tags.all[i][1] for i in stops]
    assert {button["type"] for button in buttons} == {"radio"}
    assert len({button["name"] for button in buttons}) == 1
    assert ["checked" in button for button in buttons] == [False, False, True]
    assert buttons[1]["aria-label"] == "8 pictures"


def test_the_text_has_everything_except_the_figures(report: Report) -> None:
    text = str(report)
    for words in (
        "macro F1",
        "95.1%",
        "90.0% to 97.0%",
        "n = 1,360",
        "0.500 (0.200 to 0.800)",
        "Part B",
        "deep",
        "dog",
        "its file",
        "Part C",
    ):
        assert words in text
    assert re.search(r"lr +0\.0015", text)
    assert all(len(line) < 130 for line in text.splitlines())


def test_what_is_rare_is_folded_away_with_the_settings(report: Report) -> None:
    report.rare = {"loss", f"Gallery {HOSTILE}", f"Per class {HOSTILE}"}
    page = report.html()
    fold = page.index("<details>")
    assert page.index("macro F1") < page.index("During training") < fold
    for words in ("<dt>loss", "Gallery &lt;", "Per class", "<dt>flip"):
        assert fold < page.index(words) < page.index("Part A</h2>")
    assert "<dt>validate" not in page  # nothing is known of it
    assert "<details" not in Report("Nothing rare", findings=["All is well."]).html()


def test_captions_are_above_their_pictures_and_pairs_stay_together(report: Report) -> None:
    tags = Tags()
    tags.feed(report.html())
    names = [name for name, _ in tags.all]
    assert all(names[i + 1] == "figcaption" for i, name in enumerate(names) if name == "figure")
    gallery = names[names.index("ul", names.index("h2")) :]
    assert gallery[:8] == ["ul", "li", "figure", "figcaption", "img", "figure", "figcaption", "img"]


def test_headings_have_no_gaps(report: Report) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", report.html())]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_shares_are_shown_in_percent_and_stored_as_numbers() -> None:
    score = Score(0.9512, 0.9, None, 10, share=True)
    assert str(score) == "95.1%"
    assert Score.of_json("accuracy", score.json()) == score
    assert not Score.of_json("kernel_distance", score.json()).share


def test_scores_outside_0_to_1_or_without_an_interval_have_no_bar() -> None:
    page = Report(
        "r", tables={"t": Table(["distance"], [[Score(2.5, 2.0, 3.0, 9)], [Score(0.5, None, None, 9)]])}
    ).html()
    assert 'class="bar"' not in page


def test_columns_line_up_in_chinese_too() -> None:
    text = str(Report("r", tables={"t": Table(["class", "n"], [["猫", 1], ["dog", 20]])}))
    assert text.splitlines()[-2:] == ["  猫      1", "  dog    20"]


def test_json_is_strict_and_complete(report: Report) -> None:
    report.facts["odd"] = [np.float32("nan"), np.int64(3), np.arange(2), Path("a"), {"b"}]
    record = json.loads(json.dumps(report.json(), allow_nan=False))
    assert record["scores"]["macro_f1"] == {"value": 0.9512, "low": 0.9, "high": 0.97, "n": 1360}
    assert record["scores"]["loss"]["low"] is None
    assert next(iter(record["tables"].values()))["rows"][0][1]["value"] == 0.5
    assert record["facts"]["odd"] == [None, 3, [0, 1], "a", ["b"]]
    assert [part["title"] for part in record["parts"]] == ["Part A", "Part B"]
    assert record["cards"][f"Errors {HOSTILE}"][1] == {"title": "dog", "its_file": HOSTILE}
    assert "figures" not in record
    assert "parts" not in Report("alone").json()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.97222, "0.972"), (1.0, "1.000"), (0, "0.000"), (12345.0, "12,345"), (250.25, "250.2"), (0.00012, "0.00012"),
     (float("nan"), "–"), (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_are_rounded_to_what_matters(value: float, text: str) -> None:
    assert format_number(value) == text


def test_plain_returns_json_values_unchanged() -> None:
    value = {"a": [1, 2.5, None, True, "x"]}
    assert to_jsonable(value) == value


def test_the_verdict_comes_first_on_the_page_in_the_text_and_as_data() -> None:
    verdict = Verdict("reliable", "Reliable.", "97 % are right & 3 % are not.", "diptych predict MODEL DATA")
    report = Report("Pets", scores={"accuracy": Score(0.97, 0.9, 0.99, 100)}, verdict=verdict)
    lines = str(report).splitlines()
    assert lines[3:6] == ["Reliable.", "97 % are right & 3 % are not.", "Next: diptych predict MODEL DATA"]
    page = report.html()
    assert page.index("97 % are right &amp; 3 % are not.") < page.index("accuracy")
    record = report.json()
    assert list(record)[:3] == ["title", "verdict", "verdict_text"]
    assert record["verdict"] == "reliable"
    assert record["verdict_text"] == str(verdict)
    assert "verdict" not in Report("Pets").json()


def test_the_brief_text_leaves_out_what_is_rare_and_the_next_step() -> None:
    verdict = Verdict("reliable", "Reliable.", "97 % are right.", "diptych predict MODEL DATA")
    part = Report(
        "Slices", findings=["None fails."], tables={"By size": Table(["size"], [["small"]])}, rare={"By size"}
    )
    report = Report(
        "Pets",
        scores={"accuracy": Score(0.97, 0.9, 0.99, 100), "aurc": Score(0.001, 0.0, 0.1, 100)},
        facts={"temperature": 1.5},
        parts=[part],
        verdict=verdict,
        rare={"aurc"},
    )
    brief, whole = render_brief(report), str(report)
    assert "97 % are right." in brief
    assert "None fails." in brief
    for rare in ("AURC", "temperature", "By size", "Next: "):
        assert rare in whole
        assert rare not in brief


def test_a_verdict_names_the_model_and_the_pictures_where_they_are_known() -> None:
    verdict = Verdict("poor", "Poor.", "MODEL is right in 50 %.", "diptych fit recognizer DATA -o MODEL --more 5")
    named = verdict.with_names(model="models/pets", data="photos")
    assert named.next_step == "diptych fit recognizer photos -o models/pets --more 5"
    assert named.reason == verdict.reason
    assert verdict.with_names() == verdict


def test_a_next_step_repeats_where_the_labels_of_its_pictures_are() -> None:
    step = (
        "diptych inspect DATA, then diptych score MODEL --against REAL --seen DATA; or diptych predict MODEL PICTURES"
    )
    verdict = Verdict("poor", "Poor.", "", step)
    named = verdict.with_names(labels="table.csv:DATA", model="m", data="my photos", real="test")
    assert named.next_step == (
        "diptych inspect 'my photos' --labels table.csv:DATA, then diptych score m --against test "
        "--labels table.csv:DATA --seen 'my photos'; or diptych predict m PICTURES"
    )
    assert verdict.with_names(labels="breed", model="m").next_step == step.replace("MODEL", "m")
