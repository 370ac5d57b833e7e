"""The report of a verdict: the answer, the arms with intervals, the classes, the learning curve, and the pictures."""

from typing import Any

import numpy as np

from diptych.data.images import Images
from diptych.data.provenance import sheet_facts
from diptych.interplay.verdict.answer import Answer, ArmScore, in_points, verdict_of
from diptych.interplay.verdict.generated import Generated
from diptych.interplay.verdict.learning_curve import LearningCurve
from diptych.interplay.verdict.paired_bootstrap import Estimate
from diptych.interplay.verdict.parts import Parts
from diptych.interplay.verdict.study import Study
from diptych.report import Report, Score, Table, figures

ARMS_TABLE = "Ways to train, each with as many optimiser steps, on the test pictures"
CLASS_TABLE = "Gain in recall of each class, in points"
FILTER_TABLE = "What the filter did with the generated pictures"
CURVE_CAPTION = (
    "Balanced accuracy by the number of real training pictures, and what the power law expects of twice as many"
)
GENERATED_CAPTION, REAL_CAPTION = "Generated pictures, not selected", "Real training pictures"
PICTURES_SHOWN = 48
MAX_SHOWN_SIDE = 96  # px


def make_report(answer: Answer, study: Study, notes: list[str]) -> Report:
    """All of it; the verdict first."""
    parts = study.parts
    report = Report(f"Do synthetic pictures help? {len(parts.training):,} real ones to learn from")
    report.verdict = verdict_of(answer)
    report.scores = {
        "baseline": _score(answer.scores[0].accuracy, len(parts.test)),
        "with_synthetic": _score(answer.synthetic.accuracy, len(parts.test)),
    }
    report.findings = [*_protocol(study), *parts.notes, *study.generated.notes, *notes]
    report.tables[ARMS_TABLE] = _arms_table(answer, len(parts.test))
    report.figures[CURVE_CAPTION] = curve_figure(answer.curve)
    _add_pictures(report, study.generated, parts.training)
    report.tables[CLASS_TABLE] = _class_table(answer, parts)
    if study.generated.reason is not None:
        report.tables[FILTER_TABLE] = _filter_table(study.generated)
    report.facts = _facts(study)
    report.rare |= {FILTER_TABLE}
    return report


def _protocol(study: Study) -> list[str]:
    parts, length = study.parts, study.length
    tuned = ", ".join(f"{how.lr:g} and {how.decay:g}" for how in list(study.chosen.values())[:1])
    chosen = f" (learning rate and weight decay: {tuned})" if tuned else ""
    return [
        study.learner.description,
        f"Every arm takes {length.steps:,} optimiser steps of {length.batch} pictures, with {study.seeds} seeds; the "
        f"settings{chosen} and the best arm were chosen on {len(parts.selection):,} real pictures, and the "
        f"{len(parts.test):,} test pictures were read once, when all choices had been made.",
    ]


def _arms_table(answer: Answer, n: int) -> Table:
    rows = [
        [
            _title(score, answer),
            _score(score.accuracy, n),
            "" if score is answer.scores[0] else in_points(score.gain),
            "" if score is answer.scores[0] else _worst_class(score, answer.classes),
        ]
        for score in answer.scores
    ]
    return Table(["arm", "balanced accuracy", "gain in points", "class that it harms most"], rows)


def _title(score: ArmScore, answer: Answer) -> str:
    chosen = " (chosen)" if score is answer.synthetic else ""
    return f"{'+ ' if score.arm.synthetic else ''}{score.arm.title}{chosen}"


def _worst_class(score: ArmScore, classes: list[str]) -> str:
    worst = min(range(len(classes)), key=lambda i: score.class_gains[i].value)
    return f"{classes[worst]}: {in_points(score.class_gains[worst])}"


def _class_table(answer: Answer, parts: Parts) -> Table:
    counts = parts.training.counts()
    rows = [
        [name, counts[name], in_points(ours), in_points(other)]
        for name, ours, other in zip(
            answer.classes, answer.synthetic.class_gains, answer.other.class_gains, strict=True
        )
    ]
    columns = ["class", "real training pictures", f"+ {answer.synthetic.arm.title}", answer.other.arm.title]
    return Table(columns, rows)


def _filter_table(generated: Generated) -> Table:
    assert generated.reason is not None
    reasons, counts = np.unique(generated.reason, return_counts=True)
    rows: list[list[Any]] = [
        [reason or "kept", int(n), Score(n / len(generated.images), None, None, len(generated.images), share=True)]
        for reason, n in zip(reasons, counts, strict=True)
    ]
    return Table(["", "pictures", "share"], sorted(rows, key=lambda row: (row[0] != "kept", -row[1])))


def _add_pictures(report: Report, generated: Generated, real: Images) -> None:
    report.figures[GENERATED_CAPTION] = _grid(generated.images)
    if generated.reason is not None:
        for reason in np.unique(generated.reason):
            if reason:
                caption = f"Dropped by the filter: {reason}"
                report.figures[caption] = _grid(generated.images[generated.reason == reason])
                report.rare.add(caption)
    report.figures[REAL_CAPTION] = _grid(real)


def _grid(images: Images) -> bytes:
    rows = np.sort(np.random.default_rng(0).permutation(len(images))[:PICTURES_SHOWN])
    side = min(MAX_SHOWN_SIDE, int(np.median(images[rows].dimensions().min(1))))
    pixels = images[rows].pixels(side, "crop").permute(0, 2, 3, 1).numpy()
    return figures.grid(pixels, columns=12, generated=sheet_facts(images, rows))


def curve_figure(curve: LearningCurve) -> bytes:
    """Accuracies with intervals over the number of pictures, and the expected one at twice as many -> SVG."""
    estimates = [*curve.accuracies, curve.doubled]
    counts = [*curve.pictures, 2 * curve.pictures[-1]]
    with figures.styled_figure(width=4.6, height=3.0) as (figure, axis):
        for n, estimate, colour in zip(
            counts, estimates, [figures.COLOURS[0]] * len(curve.pictures) + [figures.COLOURS[1]], strict=True
        ):
            axis.plot([n, n], [estimate.low, estimate.high], color=colour, linewidth=1.6, alpha=0.5)
            axis.plot([n], [estimate.value], color=colour, marker="o", markersize=5)
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts, [f"{n:,}" for n in counts])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter(figures.percent)
        axis.set(xlabel="real training pictures", ylabel="balanced accuracy")
        return figures.svg(figure)


def _score(estimate: Estimate, n: int) -> Score:
    return Score(estimate.value, estimate.low, estimate.high, n, share=True)


def _facts(study: Study) -> dict[str, Any]:
    parts = study.parts
    sizes = {
        "to learn from": len(parts.training),
        "for the filter": len(parts.filtering),
        "to choose by": len(parts.selection),
        "to test on": len(parts.test),
        "generated": len(study.generated.images),
    }
    return {
        "pictures": ", ".join(f"{n:,} {name}" for name, n in sizes.items()),
        "optimiser steps": study.length.steps,
        "pictures a step": study.length.batch,
        "seeds": study.seeds,
    }


def details(answer: Answer) -> dict[str, Any]:
    """All figures, JSON-able; shares, not points."""
    over = answer.over_oversampling
    return {
        "recommended": answer.recommended,
        "synthetic": answer.synthetic.arm.key,
        "other": answer.other.arm.key,
        "classes_harmed": answer.losing,
        "gain": answer.synthetic.gain.json(),
        "gain_over_oversampling": None if over is None else over.json(),
        "arms": {
            score.arm.key: {
                "balanced_accuracy": score.accuracy.json(),
                "gain": score.gain.json(),
                "selection": score.selection,
                "class_gains": dict(zip(answer.classes, (g.json() for g in score.class_gains), strict=True)),
            }
            for score in answer.scores
        },
        "learning_curve": answer.curve.json(),
    }
