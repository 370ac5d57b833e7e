"""Groups that are worse are reported, chance is not, and cells that are empty or small stay so."""

import json

import numpy as np

from diptych.audit.bias import group_scores
from diptych.audit.bias.group_report import TOO_FEW, add_groups, worst_group
from diptych.audit.bias.groups import groupings
from diptych.report import Report
from tests.audit.planted import answers, noise

N = 600
PIXELS = noise(N, 8, 0)
TARGETS = np.arange(N) % 2


def planted(shares: dict[str, float], seed: int, sizes: dict[str, int] | None = None):
    """Answers right as often as ``shares`` says of each group, by the column "camera"."""
    draw = np.random.default_rng(seed)
    names = list(shares)
    weights = np.array([(sizes or dict.fromkeys(names, 1))[name] for name in names], float)
    camera = np.array(names)[draw.choice(len(names), N, p=weights / weights.sum())]
    correct = draw.random(N) < np.array([shares[name] for name in camera])
    return answers(PIXELS, TARGETS, np.where(correct, TARGETS, 1 - TARGETS), {"camera": camera})


def report(given) -> tuple[Report, list[group_scores.Comparison]]:
    divisions = groupings(given.images, None)
    compared = group_scores.compare(given, divisions)
    result = Report("groups")
    add_groups(result, given, divisions, compared)
    return result, compared


def test_a_group_that_is_worse_is_named_first():
    result, compared = report(planted({"phone": 0.6, "studio": 0.95}, 0))
    assert compared[0].is_worse
    assert any("where camera is phone" in finding and "against" in finding for finding in result.findings)
    assert result.scores["worst_group_accuracy"].value < 0.7


def test_a_class_that_is_worse_in_one_group_only_is_a_finding():
    given = planted({"phone": 0.95, "studio": 0.95}, 1)
    worse = (given.images.groups["camera"] == "phone") & (TARGETS == 0) & (np.arange(N) % 3 > 0)
    given.predicted[worse] = 1
    _, compared = report(given)
    assert compared[0].words == "of cat where camera is phone"
    assert compared[0].is_worse
    name, score = worst_group(given, groupings(given.images, None))
    assert (name, score.n) == ("of cat where camera is phone", compared[0].inside.n)


def test_chance_is_rarely_a_finding():
    audits = [planted({"phone": 0.9, "studio": 0.9}, seed) for seed in range(20, 40)]
    findings = sum(group_scores.compare(given, groupings(given.images, None))[0].is_worse for given in audits)
    assert findings <= 3  # 1 is expected


def test_small_and_empty_cells_say_so_and_are_no_number():
    given = planted({"phone": 0.9, "studio": 0.9, "drone": 0.1}, 2, {"phone": 300, "studio": 280, "drone": 10})
    given = answers(PIXELS, TARGETS, given.predicted, {**given.images.groups, "same": given.images.groups["camera"]})
    result, compared = report(given)
    assert not any("drone" in comparison.words for comparison in compared)
    assert any("fewer than 50: camera drone (" in finding for finding in result.findings)
    table = result.tables["Scores by camera"]
    drone = next(row for row in table.rows if row[0] == "drone")
    assert drone[3:] == [None, None, TOO_FEW]
    crossed = result.tables["Scores by camera × same"]
    empty = next(row for row in crossed.rows if row[0] == "drone × phone")
    assert empty[1:3] == [0, None]
    json.dumps(result.json(), allow_nan=False)


def test_differences_are_bootstrapped_over_all_pictures_together():
    given = planted({"phone": 0.6, "studio": 0.9}, 3)
    inside = given.images.groups["camera"] == "phone"
    difference = group_scores.accuracy_difference(given, inside)
    assert difference.low < difference.value < difference.high < 0
    assert difference.value == given.correct[inside].mean() - given.correct[~inside].mean()


def test_the_gap_in_equalised_odds_covers_the_planted_one():
    given = planted({"phone": 0.6, "studio": 0.95}, 4)
    gap = group_scores.odds_gap(given, groupings(given.images, None)[0], 0)
    assert gap.low < 0.35 < gap.high
    small = planted({"phone": 0.6, "drone": 0.9}, 5, {"phone": 95, "drone": 5})
    assert group_scores.odds_gap(small, groupings(small.images, None)[0], 0) is None
