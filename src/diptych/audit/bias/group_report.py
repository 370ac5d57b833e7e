"""The part of an audit's report on groups: plots, findings, and tables in which empty cells stay empty."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from diptych.audit.bias import group_scores
from diptych.audit.bias.answers import Answers
from diptych.audit.bias.group_scores import MIN_PICTURES, Comparison
from diptych.audit.bias.groups import CROSSED, Grouping
from diptych.report import Report, Score, Table
from diptych.report.forest_plot import forest

TOO_FEW = "too few to say"
MAX_FINDINGS = 5
PALE = f"pale: fewer than {MIN_PICTURES} pictures"
NOTHING = "No group has a lower accuracy, and no class in it a lower recall, than elsewhere beyond chance."


def add_groups(report: Report, answers: Answers, divisions: Sequence[Grouping], compared: list[Comparison]) -> None:
    """Add each division's plot and tables, the worst group as a score, and the findings."""
    overall = float(answers.correct.mean())
    for grouping in divisions:
        _add_division(report, answers, grouping, overall)
    worst = worst_group(answers, divisions)
    if worst is not None:
        name, score = worst
        report.scores["worst_group_accuracy"] = score
        report.findings.append(f"The worst group is the pictures {name}: {score} of {score.n} are right.")
    worse = [comparison for comparison in compared if comparison.is_worse]
    single = [comparison for comparison in worse if CROSSED not in comparison.words]
    if compared:
        report.findings += [comparison.sentence() for comparison in (single or worse)[:MAX_FINDINGS]] or [NOTHING]
    report.findings += _too_few(divisions)


def worst_group(answers: Answers, divisions: Sequence[Grouping]) -> tuple[str, Score] | None:
    """The group, or class in a group, of the lowest accuracy among those with enough pictures: words and score."""
    scores = []
    for words, rows, _ in group_scores.cells(answers, divisions):
        score = group_scores.accuracy(answers, rows)
        if score is not None and score.n >= MIN_PICTURES:
            scores.append((words, score))
    return min(scores, key=lambda entry: entry[1].value, default=None)


def _add_division(report: Report, answers: Answers, grouping: Grouping, overall: float) -> None:
    rows: list[list[Any]] = []
    accuracies: dict[str, Score | None] = {}
    for number, value in enumerate(grouping.values):
        inside = grouping.rows(number)
        score = accuracies[value] = group_scores.accuracy(answers, inside)
        n = int(inside.sum())
        rest = [group_scores.accuracy_difference(answers, inside), group_scores.calibration_error(answers, inside)]
        rows.append([value, n, score, *rest, "" if n >= MIN_PICTURES else TOO_FEW])
    faint = frozenset(value for value, score in accuracies.items() if score is None or score.n < MIN_PICTURES)
    caption = f"Accuracy by {grouping.name}, with 95 % intervals; dotted: over all pictures" + (
        f"; {PALE}" if faint else ""
    )
    report.figures[caption] = partial(forest, accuracies, overall, "accuracy", faint)
    columns = [grouping.name, "pictures", "accuracy", "minus others", "calibration error", ""]
    tables = {f"Scores by {grouping.name}": Table(columns, rows)}
    tables[f"Recall of each class by {grouping.name}"] = _recalls(answers, grouping)
    if not grouping.crossed:
        tables[f"Equalised odds over {grouping.name}, each class against the rest"] = _odds(answers, grouping)
    report.tables |= tables
    report.rare |= set(tables)


def _recalls(answers: Answers, grouping: Grouping) -> Table:
    """A row for each class, a column for each group; a cell without any picture stays empty."""
    rows: list[list[Any]] = []
    for label, name in enumerate(answers.classes):
        cells = [
            group_scores.accuracy(answers, grouping.rows(number) & (answers.targets == label))
            for number in range(len(grouping.values))
        ]
        rows.append([name, *map(_or_too_few, cells)])
    return Table(["class", *grouping.values], rows)


def _or_too_few(score: Score | None) -> Score | str | None:
    """A score of enough pictures as it is, one of fewer with a warning."""
    return score if score is None or score.n >= MIN_PICTURES else f"{score} of {score.n}: {TOO_FEW}"


def _odds(answers: Answers, grouping: Grouping) -> Table:
    gaps = [(name, group_scores.odds_gap(answers, grouping, label)) for label, name in enumerate(answers.classes)]
    return Table(["class", "largest gap of its rates", ""], [[n, g, "" if g else TOO_FEW] for n, g in gaps])


def _too_few(divisions: Sequence[Grouping]) -> list[str]:
    """A sentence on the groups, of single columns, that are too small to say anything about."""
    small = [
        f"{grouping.name} {value} ({int(grouping.rows(number).sum())})"
        for grouping in divisions
        if not grouping.crossed
        for number, value in enumerate(grouping.values)
        if grouping.rows(number).sum() < MIN_PICTURES
    ]
    if not small:
        return []
    return [f"Too few pictures to say anything, fewer than {MIN_PICTURES}: {', '.join(small[:MAX_FINDINGS])}."]
