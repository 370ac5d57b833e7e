"""The part of an audit's report on shortcuts: what is claimed, the pictures with and without it, and all properties."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.audit.bias.shortcuts import MIN_COUNTEREXAMPLES, Search, Suspect, worst_cell
from diptych.recognition.evaluation.worst_errors import display_pixels
from diptych.report import Gallery, Report, Score, Table, figures
from diptych.report.forest_plot import forest

MAX_SHOWN = 12  # pictures of each kind
MAX_CLAIMS = 3  # that are shown as pictures
PROPERTIES = "What each property alone tells"
PLOT = "Accuracy where a property agrees with the label and where it does not; dotted: over all pictures"
OF_STATE = {
    "shortcut": "shortcut",
    "too few": "too few to say",
    "harmless": "not used",
    "unrelated": "",
}


def add_shortcuts(report: Report, search: Search) -> None:
    """Add claims with their pictures, what cannot be said, and a table of all properties."""
    claims = search.of_state("shortcut")
    report.findings += [_evidence(suspect) for suspect in claims[:1]]  # the verdict says the rest
    report.findings += [f"Another shortcut: {summary(search, suspect)} {_evidence(suspect)}" for suspect in claims[1:]]
    report.findings += [_undecided(suspect) for suspect in search.of_state("too few")]
    report.findings += [_harmless(suspect) for suspect in search.of_state("harmless")]
    if search.suspects and not claims:
        report.findings.append(f"No shortcut was seen among {len(search.suspects)} properties.")
    for suspect in claims[:MAX_CLAIMS]:
        report.figures |= _pictures(search, suspect)
    _add_plot(report, search)
    if search.suspects:
        report.tables[PROPERTIES] = _table(search)
        report.rare.add(PROPERTIES)


def summary(search: Search, suspect: Suspect) -> str:
    """A claim in two sentences, with the worst group."""
    agreeing, against = suspect.agreeing, suspect.against
    assert agreeing is not None
    assert against is not None
    _, _, worst = worst_cell(search, suspect)
    return (
        f"Where the {suspect.name} speaks for the label it is right in {agreeing.value:.0%} of {agreeing.n} pictures, "
        f"where it speaks for another one in {against.value:.0%} of {against.n}. The worst group is "
        f"{cell_words(search, suspect)}: {worst.value:.0%} of {worst.n} are right."
    )


def claims_json(search: Search) -> list[dict[str, Any]]:
    """Each claim with its worst group, as JSON can hold it."""
    claims = []
    for suspect in search.of_state("shortcut"):
        label, kind, score = worst_cell(search, suspect)
        names = [None if number is None else search.answers.classes[number] for number in (label, kind)]
        worst = {"class": names[0], "speaks for": names[1], "accuracy": score.value, "pictures": score.n}
        claims.append({"property": suspect.name, "worst group": worst})
    return claims


def _evidence(suspect: Suspect) -> str:
    """The figures of a claim, in sentences."""
    also = f" Nearly the same is said by: {', '.join(suspect.same)}." if suspect.same else ""
    value, low, high = (f"{end:.0%}" for end in suspect.difference[:3])
    return (
        f"{_what(suspect)}. Within classes, accuracy differs by {value} ({low} to {high}, p = "
        f"{suspect.difference.p:.1g}) with it; {suspect.followed:.0%} of the wrong answers elsewhere follow it.{also}"
    )


def cell_words(search: Search, suspect: Suspect) -> str:
    """The worst group of a claim: "cat with the border colour of dog"."""
    label, kind, _ = worst_cell(search, suspect)
    classes = search.answers.classes
    return f"{classes[label]} with the {suspect.name} of {'another class' if kind is None else classes[kind]}"


def _what(suspect: Suspect) -> str:
    by_label, by_answer = suspect.skill, suspect.answer_skill
    if by_label.value >= by_answer.value or (by_label.low or 0) > 0.5:
        return f"The {suspect.name} alone predicts the label, with a skill of {by_label} (0: chance, 1: always right)"
    return (
        f"The recognizer's answers follow the {suspect.name}: it alone predicts them with a skill of {by_answer}, the "
        f"labels only with {by_label} (0: chance, 1: always right)"
    )


def _undecided(suspect: Suspect) -> str:
    n = suspect.against.n if suspect.against else 0
    return (
        f"The {suspect.name} alone predicts the label with a skill of {suspect.skill} (0: chance, 1: always right), "
        f"and only {n} pictures show a class without it. These are too few to say whether the recognizer goes by it: "
        f"add {MIN_COUNTEREXAMPLES} or more. If it is what the classes are, such as colours, nothing is wrong."
    )


def _harmless(suspect: Suspect) -> str:
    return (
        f"The {suspect.name} alone predicts the label with a skill of {suspect.skill}; the recognizer does not go by "
        f"it: it is right in {suspect.against} where it speaks against the label, in {suspect.agreeing} elsewhere."
    )


def _pictures(search: Search, suspect: Suspect) -> dict[str, Any]:
    """Pictures in which the property speaks for the label, and in which it speaks against it, by caption."""
    against = suspect.says != search.answers.targets
    kinds = ((~against, suspect.agreeing, "speaks for"), (against, suspect.against, "speaks against"))
    return {
        f"The {suspect.name} {words} the label: {score.value:.0%} of {score.n} are right": _gallery(
            search, suspect, rows
        )
        for rows, score, words in kinds
        if score is not None
    }


def _gallery(search: Search, suspect: Suspect, chosen: NDArray[np.bool_]) -> Gallery:
    answers = search.answers
    rows = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(chosen))[:MAX_SHOWN])
    captions = [
        (
            f"labelled {answers.classes[answers.targets[row]]}",
            f"{suspect.name} of {answers.classes[suspect.says[row]]}",
            f"answer {answers.classes[answers.predicted[row]]} ({answers.confidence[row]:.0%})",
        )
        for row in rows
    ]
    return figures.gallery([display_pixels(answers.images, int(row)) for row in rows], captions)


def _add_plot(report: Report, search: Search) -> None:
    shown: dict[str, Score | None] = {}
    for suspect in search.suspects:
        if suspect.state != "unrelated":
            shown[f"{suspect.name} agrees"] = suspect.agreeing
            shown[f"{suspect.name} disagrees"] = suspect.against
    if shown:
        faint = frozenset(name for name, score in shown.items() if score is None or score.n < MIN_COUNTEREXAMPLES)
        report.figures[PLOT] = partial(forest, shown, float(search.answers.correct.mean()), "accuracy", faint)


def _table(search: Search) -> Table:
    columns = ["property", "skill", "of answers", "agrees", "disagrees", "difference within classes", "p", ""]
    rows: list[list[Any]] = [
        [
            ", ".join((s.name, *s.same)),
            s.skill,
            s.answer_skill,
            s.agreeing,
            s.against,
            Score(s.difference.value, s.difference.low, s.difference.high, len(search.answers)),
            s.difference.p,
            OF_STATE[s.state],
        ]
        for s in search.suspects
    ]
    return Table(columns, rows)
