"""Scarce classes are filled up with what passes the filter; a class whose pictures are no good gets fewer, or none."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import diptych
from diptych import interplay
from diptych.data.provenance import generated_mask
from diptych.errors import DataError, UsageError
from diptych.interplay import balance_folder, balance_needs, balance_sampling
from diptych.interplay.balance import Balance, balanced, request_facts
from diptych.interplay.balance_needs import ClassNeed, Supply, coverage_of
from diptych.interplay.balance_report import report_json
from diptych.interplay.balance_sampling import ClassResult
from diptych.report import Score

SCARCE = ("0", "1")


@pytest.fixture(scope="module", autouse=True)
def _short_trainings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diptych.interplay.judge.PICTURES_SHOWN", 4000)
        yield


@pytest.fixture(scope="module")
def parts() -> tuple[diptych.Images, diptych.Images]:
    """Five digits of which two are scarce, and the full set that a synthesizer may know."""
    digits = diptych.Images.open("digits")
    digits = digits[digits.labels < 5].relabel([str(i) for i in range(5)])
    rows = [np.flatnonzero(digits.labels == i)[: 40 if str(i) in SCARCE else 100] for i in range(5)]
    return digits[np.sort(np.concatenate(rows))], digits


class Sampler(diptych.VAE):
    """A fitted VAE whose samples are, in secret, pictures that a test chooses."""

    pictures: dict[str, np.ndarray] | None = None

    def give(self, pictures: dict[str, np.ndarray]) -> "Sampler":
        self.pictures = pictures
        return self

    def sample_pixels(self, seeds: Sequence[int], labels: np.ndarray, bar: Any = None) -> Tensor:
        if self.pictures is None:
            return super().sample_pixels(seeds, labels, bar)
        chosen = [self.pictures[self.classes_[label]] for label in labels]
        rows = [own[seed % len(own)] for own, seed in zip(chosen, seeds, strict=True)]
        if bar is not None:
            bar.advance(len(rows))
        return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2)


def pixels(images: diptych.Images) -> np.ndarray:
    return images.pixels(8).permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def fitted(parts: tuple[diptych.Images, diptych.Images]) -> Sampler:
    return Sampler(epochs=1).fit(parts[0])


@pytest.fixture(scope="module")
def unseen(parts: tuple[diptych.Images, diptych.Images]) -> dict[str, np.ndarray]:
    """Real pictures of each class that are not in the set."""
    few, full = parts
    others = full[~np.isin(full.paths, few.paths)]
    return {name: pixels(others[others.labels == i]) for i, name in enumerate(full.classes)}


@pytest.fixture(scope="module")
def good(parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, unseen: dict[str, np.ndarray]) -> Balance:
    return balanced(parts[0], fitted.give(unseen), per_class=70)


def test_scarce_classes_are_filled_up_to_the_count_and_no_other_class_gets_any(
    good: Balance, parts: tuple[diptych.Images, diptych.Images]
) -> None:
    assert good.images.counts() == {"0": 70, "1": 70, "2": 100, "3": 100, "4": 100}
    generated = generated_mask(good.images)
    assert generated.sum() == 60
    assert set(good.images.origins[generated].tolist()) == {"synthetic"}
    assert np.array_equal(good.images[~generated].paths, parts[0].paths)
    verdict = good.report.verdict
    assert verdict is not None
    assert (verdict.word, verdict.sentence) == ("filled", "2 scarce classes filled up, with 60 generated pictures.")
    assert "diptych verdict DATA" in verdict.next_step
    answer = report_json(good.report)
    assert [row["added"] for row in answer["classes"]] == [30, 30, 0, 0, 0]
    shown = {f"{name}: {what}" for name in SCARCE for what in ("added", "real", "dropped")}
    assert shown == set(good.report.figures)


def test_the_same_call_gives_the_same_pictures_and_another_seed_others(
    good: Balance, parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, unseen: dict[str, np.ndarray]
) -> None:
    again = interplay.balance(parts[0], fitted.give(unseen), per_class=70)
    assert torch.equal(again.pixels(8), good.images.pixels(8))
    other = interplay.balance(parts[0], fitted, per_class=70, seed=5)
    assert other.counts() == again.counts()
    assert not torch.equal(other.pixels(8), again.pixels(8))


def test_copies_and_pictures_of_other_classes_are_not_added_and_the_report_says_so_in_words(
    parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, unseen: dict[str, np.ndarray]
) -> None:
    copies = pixels(parts[0][parts[0].labels == 0])
    result = balanced(parts[0], fitted.give({**unseen, "0": copies, "1": unseen["2"]}), per_class=70)
    assert result.images.counts() == parts[0].counts()
    verdict = result.report.verdict
    assert verdict is not None
    assert verdict.word == "nothing"
    assert "60 are still missing to 70 a class" in verdict.reason
    zero, one = result.report.findings[:2]
    assert zero.startswith("0: none added, since of ")
    assert "copy of a training picture" in zero
    assert one.startswith("1: none added, since only ")
    assert "of its generated pictures are taken for it (of its real ones" in one


def test_one_picture_over_and_over_does_not_cover_a_class(
    parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, unseen: dict[str, np.ndarray]
) -> None:
    result = balanced(parts[0], fitted.give({**unseen, "0": unseen["0"][:1]}), per_class=70)
    assert result.images.counts()["0"] < 70
    assert "its generated pictures cover only" in result.report.findings[0]
    assert result.images.counts()["1"] == 70


def test_a_given_recognizer_decides_the_need_and_never_filters(
    parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, unseen: dict[str, np.ndarray]
) -> None:
    wrong = parts[0].with_metadata(labels=(parts[0].labels + 1) % 5)  # it takes every picture for another class
    recognizer = diptych.Recognizer("convnet", epochs=6).fit(wrong)
    result = balanced(parts[0], fitted.give(unseen), per_class=70, recognizer=recognizer)
    assert any("not the one that was named" in finding for finding in result.report.findings)
    recalls = [row["recall on real pictures"]["value"] for row in report_json(result.report)["classes"]]
    assert max(recalls) < 0.3
    assert result.images.counts()["0"] == 70  # the filter's own recognizer knows better


def test_parts_of_a_set_pass_through_and_what_is_added_is_to_train_on(
    parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, unseen: dict[str, np.ndarray]
) -> None:
    few, full = parts
    test = full[~np.isin(full.paths, few.paths)][:30]
    split = np.repeat(["train", "test"], [len(few), len(test)])
    whole = (few + test).with_metadata(groups={"split": split})
    images = interplay.balance(whole, fitted.give(unseen), per_class=70)
    assert set(images.groups["split"][generated_mask(images)].tolist()) == {"train"}
    assert (images.groups["split"] == "test").sum() == 30
    diptych.Recognizer("convnet", epochs=1).fit(images)


def test_the_folder_is_an_ordinary_set_that_a_recognizer_is_fitted_on_and_validated_on_its_real_pictures(
    good: Balance, parts: tuple[diptych.Images, diptych.Images], fitted: Sampler, tmp_path: Path
) -> None:
    request = request_facts(parts[0], fitted, 70, None, 0)
    folder = tmp_path / "fuller"
    assert balance_folder.answer_there(folder, request) is None
    answer = balance_folder.write(good, folder, request, data="real photos", model="pets")
    assert "diptych verdict 'real photos' pets --test TEST" in answer["verdict_text"]
    assert balance_folder.answer_there(folder, request) == answer
    images = diptych.Images.open(folder)
    assert images.counts() == good.images.counts()
    assert np.array_equal(images.origins, good.images.origins)
    (folder / "metadata.csv").unlink()  # the record knows them, too
    assert generated_mask(diptych.Images.open(folder)).sum() == 60
    assert "filled up, with 60" in (folder / "report.html").read_text(encoding="utf-8")
    fitted_on = diptych.Recognizer("convnet", epochs=1).fit(images)
    assert fitted_on.scores_["accuracy"]["n"] == round(0.15 * 380)
    with pytest.raises(UsageError, match=r"holds a set that was balanced otherwise\. Name a new or an empty folder"):
        balance_folder.answer_there(folder, request_facts(parts[0], fitted, 80, None, 0))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"Another command has filled .*mine meanwhile"):
        balance_folder.write(good, tmp_path / "mine", request)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(UsageError, match="holds something else"):
        balance_folder.answer_there(tmp_path / "mine", request)


def test_what_cannot_be_balanced_is_refused_with_what_to_do(
    parts: tuple[diptych.Images, diptych.Images], fitted: Sampler
) -> None:
    few = parts[0]
    unlabelled = few.with_metadata(labels=np.full(len(few), -1))
    without_classes = diptych.VAE(epochs=1).fit(unlabelled)
    with pytest.raises(UsageError, match=r"fitted without labels, so it cannot be asked for a class\. Fit one"):
        interplay.balance(few, without_classes, per_class=70)
    renamed = few.with_metadata(classes=("zero", "1", "2", "3", "4"))
    with pytest.raises(UsageError, match=r"does not know zero; it knows 0, 1, 2, 3, 4\. Fit one on pictures of all"):
        interplay.balance(renamed, fitted, per_class=70)
    with pytest.raises(UsageError, match=r"none is scarce.*choose a --per-class above 40"):
        interplay.balance(few, fitted, per_class=40)
    with pytest.raises(UsageError, match="per_class must be a whole number, 1 or more, not 0"):
        interplay.balance(few, fitted, per_class=0)
    with pytest.raises(DataError, match=r"--labels names, COLUMN"):
        interplay.balance(unlabelled, fitted, per_class=70)
    with pytest.raises(DataError, match="one label a picture"):
        interplay.balance(few.with_metadata(labels=np.eye(5, dtype=bool)[few.labels]), fitted, per_class=70)
    with pytest.raises(DataError, match=r"is generated.*A balance takes real pictures alone"):
        interplay.balance(few.with_metadata(origins=np.full(len(few), "synthetic")), fitted, per_class=70)
    with pytest.raises(DataError, match=r"it needs 20 or more\. Add real pictures"):
        interplay.balance(few[::20], fitted, per_class=70)
    others = few.with_metadata(classes=tuple("abcde"))
    stranger = diptych.Recognizer("convnet", epochs=1).fit(others)
    with pytest.raises(UsageError, match="The recognizer does not know 0, 1, 2 and 2 more"):
        interplay.balance(few, fitted, per_class=70, recognizer=stranger)


def test_a_class_that_is_recognized_for_certain_needs_none() -> None:
    certain, few = Score(1.0, 0.99, 1.0, 400, share=True), Score(1.0, 0.8, 1.0, 16, share=True)
    assert ClassNeed("a", 400, 100, certain).well_recognized
    assert not ClassNeed("a", 40, 100, few).well_recognized
    assert not ClassNeed("a", 40, 100, None).well_recognized
    sentence = ClassResult(ClassNeed("a", 400, 100, certain)).sentence
    assert sentence == "a: none added, the recognizer is right about 100.0% (99.0% to 100.0%) of its pictures already."


@pytest.mark.parametrize(
    ("right", "coverage", "share"),
    [(0.9, 0.9, 1.0), (0.5, 0.9, 0.5), (0.9, 0.4, 0.5), (0.1, 0.9, 0.0), (0.9, 0.1, 0.0), (0.9, None, 1.0)],
)
def test_how_much_is_added_follows_from_what_real_pictures_reach(
    right: float, coverage: float | None, share: float
) -> None:
    supply = Supply(right, coverage, None if coverage is None else 0.95, 0.95)
    assert supply.share == share
    assert bool(supply.reason) == (share < 1)


def test_coverage_compares_equal_numbers_and_needs_enough_of_them() -> None:
    generator = torch.Generator().manual_seed(0)
    real, alike = torch.randn(60, 4, generator=generator), torch.randn(60, 4, generator=generator)
    ours, of_real = coverage_of(alike, real) or (0.0, 0.0)
    assert ours == pytest.approx(of_real, abs=0.25)
    assert of_real > 0.7
    assert (coverage_of(alike + 100, real) or (1.0,))[0] == 0
    assert coverage_of(alike, real[: balance_needs.MIN_FOR_COVERAGE - 1]) is None


def test_rounds_grow_with_what_was_dropped_and_end_at_the_limit() -> None:
    result = ClassResult(ClassNeed("a", 10, 100, None), wanted=100, sampled=64)
    result.dropped["copy of a training picture"] = 64
    assert balance_sampling._next_round(result, 564) == 500  # none has passed: as many as are allowed
    result.sampled = result.dropped["copy of a training picture"] = 250
    assert balance_sampling._next_round(result, 564) == 0  # hopeless
    result.dropped["copy of a training picture"] = 125
    assert balance_sampling._next_round(result, 564) == 221  # half pass
    result.sampled = 564
    assert balance_sampling._next_round(result, 564) == 0
