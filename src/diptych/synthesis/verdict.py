"""The verdict on generated pictures: what their scores come to, by fixed rules; pure.

Precision, recall, density and coverage depend on the features and on the number of pictures, so each is taken as a
share of what real pictures reach against other real ones. The kernel distance is taken as a share of that of one real
picture repeated, which is the variance of the real pictures in the kernel's feature space.

The thresholds are round numbers that separate real pictures, blurred ones, a few repeated, noise, and samples of models
after a minute and after hours, on photographs of pets and of groceries and on CIFAR-10, on which they were chosen.
``benchmarks/score_verdicts.py`` tries them on any set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diptych.data.messages import counted
from diptych.metrics.distribution import Distance
from diptych.metrics.prdc import PRDC
from diptych.report import Verdict

SAME_SHARE = 0.5  # of the generated pictures are also among the real ones: both sides are the same
MAX_REPEATED = 0.5  # of the generated pictures, beyond the share among real ones: from here on a few are repeated
NOISE_PRECISION = 0.25  # below, hardly any picture passes for real
FAR_DENSITY, FAR_COVERAGE = 0.4, 0.2  # below both, those that pass lie at the edge of the real ones
PASSING_PRECISION = 0.5  # from here on they look like real pictures, most of them
LITTLE_RECALL, LITTLE_COVERAGE = 0.25, 0.5  # below both, most kinds of real pictures are missing
CLOSE_SHARE = 0.8  # of what real pictures reach: precision, recall, coverage, and the usefulness for training
CLOSE_DISTANCE = 0.05  # of one real picture repeated
FEW_PICTURES = 100  # on either side; with fewer every score is rough
MIN_TUNING_STEPS = 50  # of training a flow to few sampling steps, below which it has hardly begun
MORE, MIN_MINUTES = 3.0, 10.0  # further training that is proposed: so many times the first, and at least so long

Word = Literal["same", "copies", "repetitive", "noise", "recognisable", "close"]


@dataclass(frozen=True)
class Evidence:
    """What a verdict is weighed from.

    Attributes
    ----------
    generated, real
        Neighbourhood scores of the generated pictures, and of other real pictures in their place.
    distance
        The kernel distance as a share of that of one real picture repeated, with its interval.
    pictures
        On each side; the smaller number. The real ones may be more, the other real ones are as many as the generated.
    same
        Share of the generated pictures that are also among the real ones, pixel for pixel.
    repeated, real_repeated
        Share of the generated pictures that repeat another one, and the same among real pictures.
    copied
        Share of the generated pictures that copy training pictures, where there are more of them than chance explains;
        0: no copies; ``None``: they could not be searched for.
    usefulness
        Accuracy on real pictures after training on generated ones, as a share of that after training on real ones;
        ``None``: not measured.
    weakness
        Why the features say little ("fixed random filters"); empty: they do not.
    caveats
        Sentences on what else limits the comparison, such as sizes that differ.
    """

    generated: PRDC
    real: PRDC
    distance: Distance
    pictures: int
    same: float = 0.0
    repeated: float = 0.0
    real_repeated: float = 0.0
    copied: float | None = None
    usefulness: float | None = None
    weakness: str = ""
    caveats: Sequence[str] = ()

    def relative(self, name: Literal["precision", "recall", "density", "coverage"]) -> float:
        """A neighbourhood score as a share of what real pictures reach."""
        reached: float = getattr(self.real, name)
        share: float = getattr(self.generated, name)
        return share / reached if reached > 0 else 1.0


def samples_verdict(
    evidence: Evidence, kind: str | None = None, minutes: float | None = None, *, tuned: bool = False
) -> Verdict:
    """One of six verdicts: "same", "copies", "repetitive", "noise", "recognisable" or "close".

    The first rule that applies decides.

    Parameters
    ----------
    kind
        Of the synthesizer ("gan", "vae", "flow"), for the next step; ``None``: the pictures are from elsewhere.
    minutes
        That it was fitted for; ``None``: unknown.
    tuned
        Whether it is a flow that was tuned to few steps, which is not trained further.
    """
    word = _word(evidence)
    reason = " ".join([_REASONS[word](evidence), *_caution(evidence), *evidence.caveats])
    if kind is None:
        next_step = _next_of_folder(word, evidence)
    else:
        next_step = _next_of_model(word, evidence, "tuned" if tuned else kind, minutes or 0)
    return Verdict(word, _sentence(word, evidence), reason, next_step)


def short_tuning_verdict(steps: int) -> Verdict | None:
    """The verdict "too_short" on a flow that was tuned for so few steps that it cannot be used; ``None``: enough."""
    if steps >= MIN_TUNING_STEPS:
        return None
    return Verdict(
        "too_short",
        "Tuned too briefly to be of use.",
        f"It was trained for {counted(steps, 'step')}; from about {MIN_TUNING_STEPS} on it begins to sample in few "
        "steps. The flow that it was tuned from is as good as before.",
        f"tune that flow for longer: diptych tune FLOW DATA -o NEW-MODEL --minutes {MIN_MINUTES:g}",
    )


def useless_tuning_verdict(before: float, after: float, minutes: float | None) -> Verdict | None:
    """The verdict "no_better" on a tuned flow whose samples are no closer to real pictures than without the tuning.

    ``before`` and ``after`` are kernel distances from held-out pictures, of samples in the same few calls; ``minutes``
    is the tuning's length. ``None``: the tuning helped.
    """
    if after < before:
        return None
    longer = (minutes or 0) + max(MIN_MINUTES, MORE * (minutes or 0))
    return Verdict(
        "no_better",
        "No better than the flow without tuning.",
        f"In as few steps, the kernel distance from held-out pictures was {before:.3f} before and is {after:.3f} now.",
        f"sample from that flow, or tune it for longer: diptych tune FLOW DATA -o NEW-MODEL --minutes {longer:g}",
    )


def _sentence(word: Word, evidence: Evidence) -> str:
    if word == "recognisable" and not _shortcomings(evidence):
        return "Recognisable; how close to real is for a better judge to say."
    return {
        "same": "The same pictures on both sides, so the scores say nothing.",
        "copies": "Copies of training pictures.",
        "repetitive": "Little variety.",
        "noise": "Like noise or blurs.",
        "recognisable": "Recognisable, not close to real.",
        "close": "Close to real.",
    }[word]


def _next_of_model(word: Word, evidence: Evidence, kind: str, minutes: float) -> str:
    if word == "same":
        return "compare with other pictures: diptych score MODEL --against OTHER-PICTURES"
    if word == "close":
        return "use it: diptych sample MODEL -n 1000 -o SAMPLES"
    if word == "copies":
        return f"fit one to more pictures: diptych fit {'flow' if kind == 'tuned' else kind} MORE-PICTURES -o NEW-MODEL"
    if word == "recognisable" and not _shortcomings(evidence):
        return "ask a better judge: diptych score MODEL --against REAL --judge RECOGNIZER"
    more = max(MIN_MINUTES, MORE * minutes)
    if (word, kind) == ("repetitive", "gan"):
        length = f"--minutes {minutes + more:g}"
        return f"fit a flow, which does not collapse to a few pictures: diptych fit flow DATA -o NEW-MODEL {length}"
    if kind == "tuned":
        return f"tune its flow for longer: diptych tune FLOW DATA -o NEW-MODEL --minutes {minutes + more:g}"
    return f"train longer: diptych fit {kind} DATA -o MODEL --more {more:g}"


def _next_of_folder(word: Word, evidence: Evidence) -> str:
    again = "diptych score GENERATED --against REAL"
    if word == "same":
        return "compare with other pictures: diptych score GENERATED --against OTHER-PICTURES"
    if word == "close":
        searched = evidence.copied is not None
        return "nothing is left to do." if searched else f"search for copies: {again} --seen DATA"
    if word == "copies":
        return f"train their model on more pictures or for a shorter time; then: {again} --seen DATA"
    if word == "repetitive":
        return f"train their model longer, on more kinds of pictures, or by another method; then: {again}"
    if not _shortcomings(evidence):
        return f"ask a better judge: {again} --judge RECOGNIZER"
    return f"train their model longer; then: {again}"


def _word(evidence: Evidence) -> Word:
    if evidence.same >= SAME_SHARE:
        return "same"
    if evidence.copied:
        return "copies"
    if evidence.repeated - evidence.real_repeated >= MAX_REPEATED:
        return "repetitive"
    precision, recall, coverage = (evidence.relative(name) for name in ("precision", "recall", "coverage"))
    # Blurs pass for real before a weak judge.
    if precision < NOISE_PRECISION or (evidence.weakness and _at_the_edge(evidence)):
        return "noise"
    if precision >= PASSING_PRECISION and recall < LITTLE_RECALL and coverage < LITTLE_COVERAGE:
        # A few kinds of real pictures lie among these, noise that passes for real does not.
        return "noise" if _at_the_edge(evidence) else "repetitive"
    # A weak judge sees that pictures are poor; that they are good it cannot tell.
    return "recognisable" if evidence.weakness or _shortcomings(evidence) else "close"


def _at_the_edge(evidence: Evidence) -> bool:
    """Whether the pictures lie where few real ones do."""
    return evidence.relative("density") < FAR_DENSITY and evidence.relative("coverage") < FAR_COVERAGE


def _shortcomings(evidence: Evidence) -> list[str]:
    """What keeps the pictures from being close to real, in figures, the most important first."""
    real, generated = evidence.real, evidence.generated
    shortcomings = []
    if evidence.relative("precision") < CLOSE_SHARE:
        shortcomings.append(_passing(evidence))
    if min(evidence.relative("recall"), evidence.relative("coverage")) < CLOSE_SHARE:
        shortcomings.append(
            f"they show part of the variety (recall {generated.recall:.2f} and coverage {generated.coverage:.2f}; "
            f"other real pictures {real.recall:.2f} and {real.coverage:.2f})"
        )
    if evidence.distance.low > CLOSE_DISTANCE:
        shortcomings.append(_distance(evidence))
    if evidence.usefulness is not None and evidence.usefulness < CLOSE_SHARE:
        shortcomings.append(
            f"a recognizer trained on them reaches {evidence.usefulness:.0%} of the accuracy that real pictures give"
        )
    return shortcomings


def _same(evidence: Evidence) -> str:
    return f"{evidence.same:.0%} of the generated pictures are among the real ones, pixel for pixel."


def _copies(evidence: Evidence) -> str:
    return f"{evidence.copied:.1%} of the generated pictures copy training pictures."


def _repetitive(evidence: Evidence) -> str:
    if evidence.repeated - evidence.real_repeated >= MAX_REPEATED:
        return f"{evidence.repeated:.0%} of the generated pictures repeat another one."
    return (
        f"{_passing(evidence)}, but they cover {evidence.generated.coverage:.0%} of the "
        f"real pictures (other real pictures cover {evidence.real.coverage:.0%})."
    )


def _noise(evidence: Evidence) -> str:
    if evidence.relative("precision") < NOISE_PRECISION:
        return f"{_passing(evidence)}, and {_distance(evidence)}."
    generated, real = evidence.generated, evidence.real
    return (
        f"They lie where few real pictures do (density {generated.density:.2f} and coverage "
        f"{generated.coverage:.2f}; other real pictures {real.density:.2f} and {real.coverage:.2f})."
    )


def _recognisable(evidence: Evidence) -> str:
    clauses = "; ".join(_shortcomings(evidence) or [_passing(evidence)])
    return f"{clauses[0].upper()}{clauses[1:]}."


def _close(evidence: Evidence) -> str:
    return f"{_passing(evidence)}, and {_distance(evidence)}."


_REASONS = {
    "same": _same,
    "copies": _copies,
    "repetitive": _repetitive,
    "noise": _noise,
    "recognisable": _recognisable,
    "close": _close,
}


def _passing(evidence: Evidence) -> str:
    return (
        f"{evidence.generated.precision:.0%} of the generated pictures look like a real one (of other real pictures "
        f"{evidence.real.precision:.0%} do)"
    )


def _distance(evidence: Evidence) -> str:
    return f"the kernel distance is {max(0.0, evidence.distance.value):.2f} of that of one real picture repeated"


def _caution(evidence: Evidence) -> list[str]:
    """What makes the verdict uncertain, as a sentence; empty where nothing does, or where no feature decided."""
    reasons = []
    if evidence.weakness and evidence.same < SAME_SHARE and not evidence.copied:
        reasons.append(f"the judge is weak ({evidence.weakness})")
    if evidence.pictures < FEW_PICTURES:
        reasons.append(f"{evidence.pictures} pictures on a side are few")
    return [f"A first impression only: {' and '.join(reasons)}."] if reasons else []
