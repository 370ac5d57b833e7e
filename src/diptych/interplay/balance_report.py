"""The report on a balanced set: how many pictures were added to which class, what was dropped and why."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.data.provenance import sheet_facts
from diptych.interplay.balance_sampling import PROBE, ClassResult
from diptych.interplay.inputs import GEOMETRY
from diptych.interplay.sample_filter import REASONS, SampleFilter
from diptych.report import Report, Score, Table, Verdict, figures
from diptych.report.report import to_jsonable

MAX_CLASSES_SHOWN = 12  # with pictures
PICTURES_SHOWN = 24  # of a class, added ones and real ones
TABLE, DETAILS = "Classes", "What the recognizer and the synthesizer say of them"


def balance_report(
    results: Sequence[ClassResult], real: Images, sample_filter: SampleFilter, per_class: int, *, given: bool
) -> Report:
    """The report; ``given``: whether a person's recognizer decided what is needed."""
    report = Report(f"{counted(sum(result.count for result in results), 'generated picture')} for scarce classes")
    report.verdict = _verdict(results, per_class)
    report.findings = [result.sentence for result in results if result.sentence]
    whose = "A recognizer of its own, not the one that was named," if given else "A recognizer trained for this"
    report.findings.append(
        f"{whose} filters: it drops what it takes for another class, what it is less sure or surer of than of real "
        f"pictures, and what is unlike real pictures or copies one. Of held-out real pictures "
        f"{sample_filter.real_share:.0%} pass."
    )
    if any(result.count for result in results):
        report.findings.append(
            "Generated pictures may be trained on. They never evaluate, calibrate or validate: metadata.csv and "
            "balance.json mark them."
        )
    report.tables[TABLE] = _counts_table(results)
    report.tables[DETAILS] = _details_table(results)
    _add_pictures(report, results, real, sample_filter.size)
    report.facts = {
        "per class": per_class,
        "real pictures": len(real),
        "added": sum(result.count for result in results),
        "sampled": sum(result.sampled for result in results),
        "real pictures that pass the filter": round(sample_filter.real_share, 3),
    }
    return report


def report_json(report: Report) -> dict[str, Any]:
    """The report for programs: verdict, classes, findings and facts."""
    classes = [
        {**dict(zip(report.tables[TABLE].columns, row, strict=True)), **dict(zip(details.columns, more, strict=True))}
        for details in [report.tables[DETAILS]]
        for row, more in zip(report.tables[TABLE].rows, details.rows, strict=True)
    ]
    verdict = {} if report.verdict is None else report.verdict.answer()
    answer: dict[str, Any] = to_jsonable({**verdict, "classes": classes, "findings": report.findings, **report.facts})
    return answer


def _verdict(results: Sequence[ClassResult], per_class: int) -> Verdict:
    scarce = [result for result in results if result.need.missing]
    filled, added = [result for result in scarce if not result.missing], sum(result.count for result in scarce)
    reason = (
        f"{counted(sum(result.sampled for result in scarce), 'picture was', 'pictures were')} sampled; "
        f"{sum(result.missing for result in scarce):,} are still missing to {per_class:,} a class."
    )
    use = "find out whether such pictures help, on real pictures kept apart: diptych verdict DATA MODEL --test TEST"
    if len(filled) == len(scarce):
        classes = counted(len(scarce), "scarce class", "scarce classes")
        return Verdict("filled", f"{classes} filled up, with {added:,} generated pictures.", reason, use)
    if added:
        sentence = (
            f"{len(filled):,} of {counted(len(scarce), 'scarce class', 'scarce classes')} filled up; the others get "
            f"fewer generated pictures, or none: {added:,} in all."
        )
        return Verdict("partly", sentence, reason, use)
    return Verdict(
        "nothing",
        "No generated picture was added.",
        reason,
        "take more pictures of these classes, or train the synthesizer further and see how good it is: diptych score "
        "MODEL --against TEST",
    )


def _counts_table(results: Sequence[ClassResult]) -> Table:
    occurring = [reason for reason in REASONS if any(result.dropped[reason] for result in results)]
    columns = ["class", "real", "added", "still missing", *(f"dropped: {reason}" for reason in occurring)]
    rows: list[list[Any]] = [
        [
            result.need.name,
            result.need.real,
            result.count,
            result.missing,
            *(result.dropped[reason] for reason in occurring),
        ]
        for result in results
    ]
    return Table(columns, rows)


def _details_table(results: Sequence[ClassResult]) -> Table:
    columns = [
        "class",
        "recall on real pictures",
        "generated ones taken for it",
        "coverage of real ones",
        "coverage by real ones",
        "sampled",
    ]
    return Table(columns, [[result.need.name, result.need.recall, *_supply(result)] for result in results])


def _supply(result: ClassResult) -> list[Any]:
    supply, sampled = result.supply, result.sampled
    if supply is None:
        return [None, None, None, sampled]
    shares = (supply.right, supply.coverage, supply.real_coverage)
    return [*(None if share is None else Score(share, None, None, PROBE, share=True) for share in shares), sampled]


def _add_pictures(report: Report, results: Sequence[ClassResult], real: Images, size: int) -> None:
    """Grids of what was added to a class, of its real pictures, and of what was dropped."""
    for result in [result for result in results if result.sampled][:MAX_CLASSES_SHOWN]:
        own = real[real.labels == real.classes.index(result.need.name)]
        for what, images in (("added", result.added), ("real", own), ("dropped", result.rejected)):
            if images is None:
                continue
            rows = np.sort(np.random.default_rng(0).permutation(len(images))[:PICTURES_SHOWN])
            pixels = images[rows].pixels(size, GEOMETRY).permute(0, 2, 3, 1).numpy()
            report.figures[f"{result.need.name}: {what}"] = figures.grid(pixels, generated=sheet_facts(images, rows))
