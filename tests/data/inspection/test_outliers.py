import numpy as np
from PIL import Image, ImageDraw

from diptych.data.images import Images
from diptych.data.inspection import outliers


def photographs(n, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 6, 6, 3), np.uint8)
    smooth = [np.asarray(Image.fromarray(one).resize((64, 64), Image.Resampling.BICUBIC)) for one in coarse]
    noise = rng.normal(0, 12, (n, 64, 64, 1))
    return np.clip(np.stack(smooth) + noise, 0, 255).astype(np.uint8)


def page(seed):
    picture = Image.new("RGB", (64, 64), "white")
    for y in range(2, 64, 9):
        ImageDraw.Draw(picture).text((2, y), str(np.random.default_rng(seed + y).integers(1e9)), fill="black")
    return np.asarray(picture)


def test_pages_of_text_among_photographs_are_outliers():
    images = Images.from_arrays(np.concatenate([photographs(200), np.stack([page(i) for i in range(4)])]))
    found = outliers.outliers(*outliers.statistics(images))
    assert {200, 201, 202, 203} <= {problem.row for problem in found}
    assert len(found) <= 8
    assert "times as far" in found[0].reason
    assert [problem.score for problem in found] == sorted(problem.score for problem in found)


def test_a_strangers_embedding():
    rng = np.random.default_rng(0)
    space = rng.normal(0, 1, (300, 8)).astype(np.float32)
    space[17] = 12
    assert outliers.outliers(np.arange(300) + 1000, space)[0].row == 1017


def test_few_pictures_say_nothing_about_what_is_usual():
    assert outliers.outliers(*outliers.statistics(Images.from_arrays(photographs(20)))) == []


def test_pictures_that_are_all_the_same():
    pixels = np.full((100, 20, 20, 3), 40, np.uint8)
    assert outliers.outliers(*outliers.statistics(Images.from_arrays(pixels))) == []
