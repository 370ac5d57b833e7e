"""The report of a synthesizer's audit: the verdict, plots and tables by class and by group."""

from collections.abc import Sequence
from functools import partial

from diptych.audit.bias.group_report import TOO_FEW
from diptych.audit.bias.synthesis_scores import MIN_PICTURES, GeneratedScores, Reference
from diptych.report import Report, Table, Verdict
from diptych.report.forest_plot import forest

AGAIN = "diptych audit bias MODEL MORE-PICTURES"
MORE_TIME = "add pictures of that group, or train longer: diptych fit KIND DATA -o MODEL --more 10"


def synthesis_report(
    kind: str, scores: Sequence[GeneratedScores], reference: Reference, notes: Sequence[str]
) -> Report:
    """The report; the verdict is by the model's own guidance, which comes first among the scores."""
    report = Report(
        f"Bias audit of a {kind}: {scores[0].samples:,} samples against {len(reference.images):,} real pictures",
        findings=list(notes),
    )
    for part in scores:
        words = f" at {part.strength}" if part.strength else ""
        report.findings += [sentence.removesuffix(".") + f"{words}." for sentence in part.findings]
        _add_scores(report, part, words)
    if reference.training is None:
        report.findings.append(
            "Copies could not be searched for: the training pictures are not known. Name them (seen)."
        )
    report.verdict = _verdict(scores[0], kind)
    report.facts |= {
        "pictures": len(reference.images),
        "samples": scores[0].samples,
        "extractor": reference.judge.embedder.facts(),
    }
    return report


def _add_scores(report: Report, part: GeneratedScores, words: str) -> None:
    for column in dict.fromkeys(group.column for group in part.groups):
        groups = [group for group in part.groups if group.column == column]
        shown = {group.value: group.coverage for group in groups}
        known = [score for score in shown.values() if score is not None]
        if known:
            mean = sum(score.value for score in known) / len(known)
            caption = f"Coverage by {column}{words}, with 95 % intervals: real pictures with a sample near them"
            report.figures[caption] = partial(forest, shown, mean, "coverage", frozenset())
        rows = [
            [g.value, g.pictures, g.distance, g.coverage, g.copies, TOO_FEW if g.pictures < MIN_PICTURES else ""]
            for g in groups
        ]
        columns = [column, "real pictures", "kernel distance", "coverage", "copies", ""]
        report.tables[f"Samples by {column}{words}"] = Table(columns, list(rows))


def _verdict(own: GeneratedScores, kind: str) -> Verdict:
    if own.findings:
        step = MORE_TIME.replace("KIND", kind)
        return Verdict("worse_on_group", "Worse on one group.", own.findings[0], step)
    compared = [g for g in own.groups if g.coverage is not None]
    if len(compared) < 2:
        reason = f"Fewer than two groups have {MIN_PICTURES} real pictures."
        return Verdict("too_few", "Too few pictures to say.", reason, f"audit with more pictures: {AGAIN}")
    reason = f"{len(compared)} groups show no difference in distance, coverage or copies beyond chance."
    return Verdict("fair", "Fair as far as can be told.", reason, f"audit it on other pictures: {AGAIN}")
