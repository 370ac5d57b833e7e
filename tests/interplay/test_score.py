import numpy as np
import pytest
import torch

import diptych
from diptych import interplay
from diptych.errors import DataError, UsageError
from diptych.interplay.score import BASELINE_TABLE, CAS_TABLE
from diptych.marks import carries_mark
from diptych.metrics.distribution import kernel_distance
from diptych.metrics.intervals import wilson_interval


@pytest.fixture(scope="module")
def digits() -> tuple[diptych.Images, diptych.Images]:
    """Training pictures, and others."""
    train, test = diptych.Images.open("digits").split(0.6, 0.4, seed=0)
    return train, test


@pytest.fixture(scope="module")
def vae(digits: tuple[diptych.Images, diptych.Images]) -> diptych.VAE:
    return diptych.VAE(epochs=4).fit(digits[0])


def plain(images: diptych.Images, paths: list[str] | None = None) -> diptych.Images:
    """The pixels alone, without labels."""
    return diptych.Images.from_arrays(images.pixels(8).permute(0, 2, 3, 1).numpy(), paths=paths)


def test_a_synthesizer_scored_against_held_out_pictures(
    digits: tuple[diptych.Images, diptych.Images], vae: diptych.VAE
) -> None:
    train, test = digits
    report = interplay.score(vae, against=test, seen=train, number=300)
    scores = report.scores
    assert {"kernel_distance", "precision", "recall", "density", "coverage", "cas", "copies"} <= set(scores)
    assert scores["bits_per_dimension"].low < scores["bits_per_dimension"].value < 8
    assert "frechet_distance" not in scores  # 300 pictures are too few to extrapolate from
    distance, baseline = report.tables[BASELINE_TABLE].rows[0][1:]
    assert distance == scores["kernel_distance"]
    assert distance.low < distance.value < distance.high
    assert baseline.low < 0 < baseline.high  # real against real
    assert distance.value > baseline.value
    assert 0.5 < scores["cas"].value <= 1
    rows = {row[0]: row[1:] for row in report.tables[CAS_TABLE].rows}
    assert set(rows) == {"(all)", *map(str, range(10))}
    assert rows["(all)"][1].value > 0.85  # after training on as many real pictures
    expected = wilson_interval(scores["cas"].value * len(test), len(test))
    assert (scores["cas"].low, scores["cas"].high) == pytest.approx(expected)
    assert report.facts["memorisation"]["verdict"] == "clean"
    assert report.facts["network calls per picture"] == 1
    assert report.facts["pictures"] == {"generated": 300, "real": len(test), "training": len(train)}
    assert len(report.facts["extractor"]["sha256"]) == 64
    assert "small recognizer" in report.facts["extractor"]["name"]
    assert "Nearest pairs: none counts as a copy" in report.html()
    sheets = [report.figures[name] for name in ("Generated pictures, not selected", "Real pictures")]
    assert [carries_mark(sheet) for sheet in sheets] == [True, False]
    pairs = report.figures["Nearest pairs: none counts as a copy"].pictures
    assert [carries_mark(picture) for picture in pairs] == [True, False] * (len(pairs) // 2)


def test_a_models_own_training_pictures_are_recognised(
    digits: tuple[diptych.Images, diptych.Images], vae: diptych.VAE, judge: diptych.Recognizer
) -> None:
    report = interplay.score(vae, against=digits[0], judge=judge, number=60)
    held_out = report.facts["pictures"]["real"]
    assert report.facts["pictures"]["training"] + held_out == len(digits[0])
    assert any("were held out" in finding for finding in report.findings)
    assert report.facts["memorisation"]["calibrated"]


def test_a_given_recognizer_gives_the_features_and_scores_are_reproducible(
    digits: tuple[diptych.Images, diptych.Images],
) -> None:
    judge = diptych.Recognizer("convnet", epochs=3).fit(digits[0])
    generated, real = plain(digits[0][:100]), plain(digits[1][:120])
    first, again = (interplay.score(generated, against=real, judge=judge) for _ in range(2))
    features = [judge.embed(images) * judge.embed(images[:1]).shape[1] ** 0.5 for images in (generated, real)]
    assert first.scores["kernel_distance"].value == pytest.approx(kernel_distance(*features).value, rel=1e-4)
    assert again.scores == first.scores
    assert "10 classes" in first.facts["extractor"]["name"]
    assert any("could not be checked" in finding for finding in first.findings)
    assert first.facts["memorisation"] is None
    assert "cas" not in first.scores


def test_planted_copies_are_listed_and_real_pictures_are_not(digits: tuple[diptych.Images, diptych.Images]) -> None:
    train, test = digits
    training = plain(train, [f"train-{i}" for i in range(len(train))])
    held_out, others = plain(test[:350]), test[350:]
    clean = interplay.score(plain(others), against=held_out, seen=training)
    assert clean.facts["memorisation"]["verdict"] == "clean"
    assert clean.scores["copies"].value == 0
    assert "random filters" in clean.facts["extractor"]["name"]
    pixels = train[:40].pixels(8)
    mixed = torch.cat((others.pixels(8)[:200], pixels[:20], pixels[20:].flip(3)))
    planted = diptych.Images.from_arrays(
        mixed.permute(0, 2, 3, 1).numpy(), paths=[f"generated-{i}" for i in range(len(mixed))]
    )
    report = interplay.score(planted, against=held_out, seen=training)
    assert report.facts["memorisation"]["verdict"] == "copies"
    pairs = {row[0]: row for row in report.tables["Copies"].rows}
    assert len(pairs) >= 38
    correct = [name for name, row in pairs.items() if row[1] == f"train-{int(name.removeprefix('generated-')) - 200}"]
    assert len(correct) == len(pairs)
    assert all(row[4] for name, row in pairs.items() if int(name.removeprefix("generated-")) >= 235)
    assert "Copies and the training pictures that they copy" in report.figures


def test_a_synthesizer_that_copies_is_flagged(digits: tuple[diptych.Images, diptych.Images]) -> None:
    # Conditioned on a class with one picture, it can only reproduce that picture.
    training = diptych.Images.from_arrays(digits[0][:20].pixels(8).permute(0, 2, 3, 1).numpy(), np.arange(20))
    copier = diptych.VAE(epochs=200, batch=20).fit(training)
    report = interplay.score(copier, against=plain(digits[1]), seen=training, number=100)
    assert report.facts["memorisation"]["verdict"] == "copies"
    assert report.facts["memorisation"]["copies"]["low"] > 0.3
    alone = interplay.score(copier, against=training, number=100)  # without held-out pictures
    assert any("would score best" in finding for finding in alone.findings)
    assert alone.facts["memorisation"]["verdict"] == "copies"


def test_training_pictures_among_the_real_ones_are_left_out(digits: tuple[diptych.Images, diptych.Images]) -> None:
    training, real = plain(digits[0][:200]), plain(digits[1][:200])
    report = interplay.score(plain(digits[1][200:300]), against=real + training[:30], seen=training)
    assert report.facts["pictures"]["real"] == 200
    assert any(finding.startswith("30 of the real pictures") for finding in report.findings)
    overlapping = interplay.score(plain(digits[1][200:300]), against=training, seen=training)
    assert any("would score best" in finding for finding in overlapping.findings)


def test_a_set_with_a_split_is_compared_with_its_test_part(digits: tuple[diptych.Images, diptych.Images]) -> None:
    pixels = torch.cat([part[:300].pixels(8) for part in digits]).permute(0, 2, 3, 1).numpy()
    parts = {"split": np.repeat(["train", "test"], 300)}
    whole = diptych.Images.from_arrays(pixels, groups=parts)  # no labels: no judge is trained
    model = diptych.VAE(epochs=2).fit(whole)
    for against in (whole, whole[300:]):
        report = interplay.score(model, against=against, seen=None if against is whole else whole, number=60)
        assert report.facts["pictures"]["real"] == 300
        assert report.facts["memorisation"]["held_out"] is not None
        assert not any("training pictures" in finding for finding in report.findings)


def test_scored_pictures_do_not_train_the_feature_extractor(
    digits: tuple[diptych.Images, diptych.Images],
) -> None:
    train = digits[0][:400]
    report = interplay.score(plain(digits[1][:100]), against=train, seen=train)
    assert "random filters" in report.facts["extractor"]["name"]


def test_the_order_of_generated_pictures_changes_no_neighbourhood(
    digits: tuple[diptych.Images, diptych.Images],
) -> None:
    generated, real = digits[0][:600], plain(digits[1])
    by_class = generated[np.argsort(generated.labels, kind="stable")]
    scores = interplay.score(plain(by_class), against=real).scores
    assert scores["recall"].n == len(real) // 2
    assert scores["recall"].value > 0.85  # with half of the classes it would be half of that
    assert scores["coverage"].value > 0.85


def test_pictures_of_other_sizes_are_resized_to_one(digits: tuple[diptych.Images, diptych.Images]) -> None:
    large = digits[1][:60].pixels(20).permute(0, 2, 3, 1).numpy()
    padded = diptych.Images.from_arrays(np.pad(large, ((0, 0), (0, 0), (6, 6), (0, 0))))
    report = interplay.score(plain(digits[0][:60]), against=padded)
    assert report.facts["size"] == 8
    assert report.scores["kernel_distance"].n == 60


@pytest.fixture(scope="module")
def judge(digits: tuple[diptych.Images, diptych.Images]) -> diptych.Recognizer:
    return diptych.Recognizer("convnet", epochs=6).fit(digits[0])


def noise(count: int, side: int = 8) -> diptych.Images:
    return diptych.Images.from_arrays(
        np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    )


def verdict_of(report: diptych.Report) -> str:
    """The word; the sentence is the first that a person reads, on the page and as text."""
    assert report.verdict is not None
    assert str(report).splitlines()[3] == report.verdict.sentence
    assert report.html().index('class="verdict"') < report.html().index("<dl")
    return report.verdict.word


def test_the_verdict_names_what_is_wrong_with_a_folder(
    digits: tuple[diptych.Images, diptych.Images], judge: diptych.Recognizer
) -> None:
    train, test = digits
    real, others = plain(test[:400]), plain(test[400:700])
    folders = {
        "close": others,
        "noise": noise(300),
        "repetitive": others[np.zeros(300, int)],
        "copies": plain(train[:300]),
        "same": real[:300],
    }
    words = {
        word: verdict_of(interplay.score(folder, against=real, seen=plain(train), judge=judge))
        for word, folder in folders.items()
    }
    assert words == {word: word for word in folders}
    few_kinds = plain(train[train.labels == 1][:60]) + plain(test[:400][test[:400].labels == 1])
    assert verdict_of(interplay.score(few_kinds, against=plain(test[400:]), judge=judge)) == "repetitive"


def test_a_weak_judge_says_so_and_calls_nothing_close(digits: tuple[diptych.Images, diptych.Images]) -> None:
    report = interplay.score(plain(digits[0][:300]), against=plain(digits[1][:300]))
    assert verdict_of(report) == "recognisable"
    assert "the judge is weak (fixed random filters)" in str(report.verdict)


def test_pictures_on_both_sides_are_said_after_the_verdict(digits: tuple[diptych.Images, diptych.Images]) -> None:
    real = plain(digits[1][:200])
    mixed = interplay.score(plain(digits[0][:100]) + real[:50], against=real)
    assert verdict_of(mixed) != "same"
    assert "50 of the 150 generated pictures are identical with real ones" in str(mixed.verdict)
    labelled = digits[0][:1000] + digits[1][:200]  # so many that half of them train a judge
    assert verdict_of(interplay.score(labelled, against=labelled, minutes=0.2)) == "same"


def test_sides_of_different_sizes_are_compared_at_the_smaller_one(
    digits: tuple[diptych.Images, diptych.Images], vae: diptych.VAE
) -> None:
    large = diptych.Images.from_arrays(digits[1][:80].pixels(20).permute(0, 2, 3, 1).numpy())
    for generated, real in ((large, plain(digits[0][:80])), (plain(digits[0][:80]), large)):
        report = interplay.score(generated, against=real)
        assert report.facts["size"] == 8
        assert "The sizes differ: generated pictures have" in str(report.verdict)
        assert "compared at 8 px" in str(report.verdict)
    assert "sizes" not in str(interplay.score(vae, against=large, number=40).verdict)
    tall = diptych.VAE(size=16, epochs=1).fit(plain(digits[0][:200]))
    report = interplay.score(tall, against=plain(digits[1][:80]), number=40)
    assert report.facts["size"] == 8
    assert "have 16 px, real ones 8 px" in str(report.verdict)


def test_a_score_keeps_to_its_minutes_and_says_what_it_left_out(
    digits: tuple[diptych.Images, diptych.Images], vae: diptych.VAE
) -> None:
    train, test = digits
    interplay.score(vae, against=test, seen=train, number=40, minutes=0.02)  # what is loaded once is loaded now
    report = interplay.score(vae, against=test, seen=train, number=10_000, minutes=0.1)
    assert report.facts["seconds in total"] < 12  # of 6, on a machine that others use too
    left_out = next(finding for finding in report.findings if finding.startswith("Within 0.1 minutes"))
    assert "the classification accuracy score" in left_out
    assert "cas" not in report.scores
    assert report.facts["memorisation"] is not None
    with pytest.raises(UsageError, match=r"minutes must be a number, 0\.001 or more"):
        interplay.score(vae, against=test, minutes=0)
    with pytest.raises(UsageError, match="seed must be a whole number from 0"):
        interplay.score(vae, against=test, seed=-1)


def test_without_common_classes_there_is_no_cas(digits: tuple[diptych.Images, diptych.Images]) -> None:
    generated, real = digits[0][:80], digits[1][:80]
    renamed = diptych.Images.from_arrays(
        real.pixels(8).permute(0, 2, 3, 1).numpy(), real.labels, classes=[f"digit {name}" for name in real.classes]
    )
    assert "cas" not in interplay.score(generated, against=renamed).scores


def test_too_few_pictures_are_refused(digits: tuple[diptych.Images, diptych.Images], vae: diptych.VAE) -> None:
    with pytest.raises(DataError, match="19 generated pictures; a score needs at least 20"):
        interplay.score(plain(digits[0][:19]), against=digits[1])
    with pytest.raises(DataError, match="19 real pictures"):
        interplay.score(vae, against=digits[1][:19], number=20)
    with pytest.raises(UsageError, match="not 5"):
        interplay.score(vae, against=digits[1], number=5)
