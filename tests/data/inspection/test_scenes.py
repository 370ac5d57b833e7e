import numpy as np

from diptych.data.inspection import scenes


def unit(features):
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def test_pictures_of_one_scene_are_paired_and_ranked_and_others_are_not():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(200, 64))
    features[11] = features[10] + 0.1 * draw.normal(size=64)
    features[21] = features[20] + 0.3 * draw.normal(size=64)
    issues, count = scenes.find_same_scenes(np.arange(200) + 1000, unit(features), np.arange(200))
    assert [(issue.other, issue.row) for issue in issues] == [(1010, 1011), (1020, 1021)]
    assert count == 4
    assert {(issue.kind, issue.action) for issue in issues} == {("same scene", "review")}
    assert issues[0].score < issues[1].score < scenes.MAX_DISTANCE
    assert "of the usual distance" in issues[0].reason


def test_copies_are_no_pair_of_a_scene():
    features = np.random.default_rng(0).normal(size=(50, 16))
    features[1] = features[0]
    clusters = np.arange(50)
    clusters[1] = 0
    assert scenes.find_same_scenes(np.arange(50), unit(features), clusters) == ([], 0)
    assert scenes.find_same_scenes(np.arange(1), unit(features[:1]), clusters[:1]) == ([], 0)


def test_of_many_pairs_those_most_alike_are_listed():
    draw = np.random.default_rng(0)
    first = draw.normal(size=(100, 64))
    features = np.stack([first, first + np.linspace(0.05, 0.4, 100)[:, None] * draw.normal(size=(100, 64))], 1)
    issues, count = scenes.find_same_scenes(np.arange(200), unit(features.reshape(200, 64)), np.arange(200))
    assert len(issues) == scenes.MAX_LISTED
    assert count > 2 * scenes.MAX_LISTED
    assert max(issue.row for issue in issues) < 120  # the first pairs differ least
