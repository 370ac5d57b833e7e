"""``bias``: whether a model treats groups of pictures alike, and whether a recognizer has learned a shortcut."""

from collections.abc import Sequence

from diptych.audit.bias import group_scores
from diptych.audit.bias.answers import answer
from diptych.audit.bias.group_report import add_groups
from diptych.audit.bias.groups import groupings
from diptych.audit.bias.shortcut_report import add_shortcuts, claims_json
from diptych.audit.bias.shortcuts import search_shortcuts
from diptych.audit.bias.synthesizer_audit import audit_synthesizer
from diptych.audit.bias.verdict import recognizer_verdict
from diptych.data.images import Images, ImagesLike
from diptych.engine.run_settings import SEED
from diptych.errors import UsageError
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.recognizer import Recognizer
from diptych.report import Report
from diptych.settings import numbers, whole
from diptych.synthesis.flow import Flow
from diptych.synthesis.gan import GAN
from diptych.synthesis.vae import VAE

Audited = Recognizer | GAN | VAE | Flow


@numbers(number=whole(1), seed=SEED)
def bias(
    model: Audited,
    images: ImagesLike,
    *,
    groups: Sequence[str] | None = None,
    seen: ImagesLike | None = None,
    number: int | None = None,
    seed: int = 0,
) -> Report:
    """Audit a model for bias on real pictures.

    Of a recognizer: its accuracy, recall, calibration error and equalised odds on each group of pictures and each two
    groups at once, and the shortcuts that it goes by instead of what the pictures show, see
    :mod:`diptych.audit.bias.shortcuts`. Of a synthesizer: how near, how varied and how much copied its pictures are,
    class by class and group by group, with its guidance and without.

    Parameters
    ----------
    images
        Real labelled pictures. Those that a recognizer was trained on are left out.
    groups
        Names of metadata columns; ``None``: every column with 2 to 20 values.
    seen
        The training pictures of a synthesizer, among which copies are searched for; ``None``: those among ``images``.
    number
        How many pictures of each class to sample from a synthesizer; ``None``: as many as there are real ones of the
        smallest class, 50 to 500.
    seed
        Of all random choices.

    Returns
    -------
    Report
        ``verdict.word`` of a recognizer is "shortcut" (learned one), "worse_on_group", "too_few" (pictures to say) or
        "fair" (as far as can be told); of a synthesizer one of the last three.

    Raises
    ------
    DataError
        The pictures have no labels, one of them is generated, or all were trained on.
    UsageError
        There is no such column, or the model is of a kind that cannot be audited.
    """
    pictures = Images.of(images)
    if isinstance(model, GAN | VAE | Flow):
        return audit_synthesizer(model, pictures, groups, None if seen is None else Images.of(seen), number, seed)
    if not isinstance(model, Recognizer):
        raise UsageError("A bias audit is of a recognizer, a GAN, a VAE or a flow; this is something else.")
    if seen is not None or number is not None:
        raise UsageError("seen and number are for synthesizers; leave them out for a recognizer.")
    return audit_recognizer(model, pictures, groups, seed)


def audit_recognizer(model: Recognizer, images: Images, groups: Sequence[str] | None, seed: int) -> Report:
    """The audit of a recognizer; see :func:`bias`."""
    answers = answer(model, images)
    divisions = groupings(answers.images, groups)
    compared = group_scores.compare(answers, divisions)
    search = search_shortcuts(answers, seed)
    n = len(answers)
    report = Report(f"Bias audit of a recognizer on {n:,} pictures", findings=list(answers.notes))
    report.scores["accuracy"] = share_score(int(answers.correct.sum()), n)
    add_shortcuts(report, search)
    add_groups(report, answers, divisions, compared)
    if not divisions:
        report.findings.append(
            "The pictures have no metadata columns with 2 to 20 values, so no groups were compared: only shortcuts "
            "were searched for. A metadata.csv beside the pictures can name groups."
        )
    report.verdict = recognizer_verdict(answers, search, compared, divisions)
    report.facts |= {
        "pictures": n,
        "pictures searched for shortcuts": len(search.answers),
        "columns": [division.name for division in divisions if not division.crossed],
        "comparisons of groups": len(compared),
        "shortcuts": claims_json(search),
        "seed": seed,
    }
    return report
