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
    issues = outliers.find_outliers(*outliers.picture_statistics(images))
    assert {200, 201, 202, 203} <= {issue.row for issue in issues}
    assert len(issues) <= 8
    assert "times as far" in issues[0].reason
    assert [issue.score for issue in issues] == sorted(issue.score for issue in issues)


def test_strangers_among_features_are_outliers_though_they_resemble_each_other():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (300, 64)) * np.linspace(2, 0.2, 64)  # pictures vary in some directions most
    features[17:20, 40:60] += 4
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    issues = outliers.find_feature_outliers(np.arange(300) + 1000, features.astype(np.float32))
    assert {1017, 1018, 1019} <= {issue.row for issue in issues}
    assert len(issues) <= 6
    assert "times as far from the middle" in issues[0].reason
    assert outliers.find_feature_outliers(np.arange(20), features[:20].astype(np.float32)) == []


def test_too_few_pictures_have_no_outliers():
    assert outliers.find_outliers(*outliers.picture_statistics(Images.from_arrays(photographs(20)))) == []


def test_identical_pictures_have_no_outliers():
    pixels = np.full((100, 20, 20, 3), 40, np.uint8)
    assert outliers.find_outliers(*outliers.picture_statistics(Images.from_arrays(pixels))) == []
