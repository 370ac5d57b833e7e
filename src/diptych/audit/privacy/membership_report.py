"""The part of a privacy report on membership: what attackers find, by class, and which pictures are most at risk."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from diptych.audit.privacy.at_risk import MAX_SHOWN, WHY_NOT, PictureAtRisk
from diptych.audit.privacy.attacks import ALLOWED, Attack, ClassRates
from diptych.audit.privacy.candidates import Candidates
from diptych.metrics.membership import AttackRates, attack_curve
from diptych.metrics.selective_prediction import auroc, auroc_interval
from diptych.report import Report, Score, Table, figures
from diptych.report.attack_figures import attack_curves, attack_scores

TOO_FEW = "too few to say"
CURVE = "Training pictures found at each rate of false alarms; dotted: chance, and the rate at which they are counted"
AT_RISK = "Pictures most at risk: much more probable to models that were trained on them than to models that were not"
TIGHT_EPSILON = 3.0  # of a promise that bounds attacks at 1 % of false alarms


def true_positive_score(rates: AttackRates) -> Score:
    """The share of training pictures that are found, with its exact interval."""
    return Score(rates.hits / rates.members, *rates.true_positive_interval, rates.members, share=True)


def false_positive_score(rates: AttackRates) -> Score:
    """The share of other pictures that are taken for training pictures, with its exact interval."""
    return Score(rates.false_alarms / rates.others, *rates.false_positive_interval, rates.others, share=True)


def strongest(attacks: Sequence[Attack]) -> Attack:
    """The attack that finds most: one that finds training pictures beyond chance before others."""
    return max(attacks, key=lambda one: (one.leaks, one.rates[0].true_positive_interval[0]))


def add_membership(report: Report, attacks: Sequence[Attack], candidates: Candidates) -> None:
    """Add the scores of the strongest attack, all attacks as a table, and their plots."""
    best = strongest(attacks)
    report.scores["training_pictures_found"] = true_positive_score(best.rates[0])
    report.scores["false_alarms"] = false_positive_score(best.rates[0])
    rows: list[list[Any]] = [
        [
            one.name,
            f"{rates.allowed:.1%}",
            true_positive_score(rates),
            false_positive_score(rates),
            chance_or_not(rates),
        ]
        for one in attacks
        for rates in one.rates
    ]
    columns = ["attack", "false alarms allowed", "training pictures found", "false alarms", ""]
    report.tables["What an attacker finds"] = Table(columns, rows)
    members, attacked = best.scores[candidates.members], best.scores[best.attacked]
    curves = {one.name: attack_curve(one.scores[candidates.members], one.scores[one.attacked]) for one in attacks}
    report.figures[CURVE] = partial(attack_curves, curves, ALLOWED)
    histogram = "Scores of the strongest attack; dotted: the threshold"
    report.figures[histogram] = partial(attack_scores, members, attacked, best.rates[0].threshold)
    scores = torch.from_numpy(members), torch.from_numpy(attacked)
    report.scores["auroc"] = Score(auroc(*scores), *auroc_interval(*scores), len(members) + len(attacked))
    report.rare |= {"auroc", histogram}


def chance_or_not(rates: AttackRates) -> str:
    """Whether what is found is beyond chance, in words."""
    return "beyond chance" if rates.leaks else "as chance would"


def add_classes(report: Report, rows: Sequence[ClassRates]) -> None:
    """Add what is found by class, and a finding on the classes that leak."""
    cells: list[list[Any]] = []
    for row in rows:
        scores = (
            [None, None] if row.rates is None else [true_positive_score(row.rates), false_positive_score(row.rates)]
        )
        word = TOO_FEW if row.rates is None else chance_or_not(row.rates)
        cells.append([row.name, row.members, row.others, *scores, word])
    columns = ["class", "training pictures", "others", "training pictures found", "false alarms", ""]
    report.tables["What an attacker finds of each class, at the threshold of all"] = Table(columns, cells)
    leaking = [row for row in rows if row.rates is not None and row.rates.leaks]
    for row in sorted(leaking, key=lambda row: -_share(row))[:3]:
        assert row.rates is not None
        report.findings.append(f"Of the class {row.name} {true_positive_score(row.rates)} are found.")
    small = [row.name for row in rows if row.rates is None]
    if small:
        names = ", ".join(small[:8]) + (f" and {len(small) - 8} more" if len(small) > 8 else "")
        report.findings.append(f"Too few pictures to say anything of single classes: {names}.")


def _share(row: ClassRates) -> float:
    return 0.0 if row.rates is None else row.rates.hits / row.rates.members


def add_pictures_at_risk(report: Report, at_risk: Sequence[PictureAtRisk] | None, candidates: Candidates) -> None:
    """Add the pictures, or why they are not shown."""
    if at_risk is None:
        report.findings.append(WHY_NOT)
        return
    if not at_risk:
        report.findings.append("No single picture is known by heart beyond chance.")
        return
    share = f"{len(at_risk):,} of the {int(candidates.members.sum()):,} training pictures"
    report.findings.append(
        f"{share} are known by heart: a model finds them probable only where it was trained on them."
    )
    shown = at_risk[:MAX_SHOWN]
    pictures = [candidates.images.picture(one.row) for one in shown]
    names = np.array(candidates.images.classes)[candidates.images.labels[[one.row for one in shown]]]
    captions = [
        (str(name), f"trained on: {one.trained:.0%}", f"not: {one.not_trained:.0%}")
        for name, one in zip(names, shown, strict=True)
    ]
    report.figures[AT_RISK] = figures.gallery(pictures, captions)
    report.facts["pictures at risk"] = [str(candidates.images.paths[one.row]) for one in at_risk]


def promise_sentence(promise: Mapping[str, Any]) -> str:
    """What a private training promises, in words; empty where it was not private."""
    if "epsilon" not in promise:
        return ""
    epsilon, delta = float(promise["epsilon"]), float(promise["delta"])
    trained = f"It was trained privately, with ε = {epsilon:.3g} and δ = {delta:g}: "
    most = math.exp(min(epsilon, 50.0)) * ALLOWED + delta
    if most < 1:
        return f"{trained}no attack finds more than {most:.1%} of the training pictures at 1 % of false alarms."
    tighter = math.exp(TIGHT_EPSILON) * ALLOWED
    return (
        f"{trained}at 1 % of false alarms so large a budget bounds no attack by itself; ε = {TIGHT_EPSILON:g} would, "
        f"to {tighter:.0%} of the training pictures."
    )
