"""The privacy audit of a synthesizer: copies among its samples, and membership inference by samples and likelihood."""

from typing import Protocol, cast

from diptych.audit.privacy import privacy_verdict
from diptych.audit.privacy.attacks import Attack, attack, sets_differ
from diptych.audit.privacy.candidates import Candidates, synthesizer_candidates
from diptych.audit.privacy.membership_report import add_membership, promise_sentence
from diptych.audit.privacy.nearness import nearness
from diptych.audit.privacy.recognizer_privacy import new_report
from diptych.audit.privacy.references import DEFAULT_SYNTHESIZERS, fit_synthesizer, train_references
from diptych.audit.privacy.signals import Signals, fit_to_picture, has_likelihood, relative_fit
from diptych.data.images import Images
from diptych.data.training_digests import NONE
from diptych.errors import UsageError
from diptych.interplay.budget import Budget
from diptych.interplay.inputs import MAX_TRAINING, RealInput, square_images
from diptych.interplay.memorisation import VERDICTS, add_copies, audit_copies
from diptych.report import Report
from diptych.synthesis.datasets import random_subset
from diptych.synthesis.synthesizer import Synthesizer

MIN_SAMPLES = 50
MAX_SAMPLES, MAX_OF_MANY_CALLS = 2000, 500  # samples by default, the second from a model that is run often for each


class Sampler(Protocol):
    """Any program that samples."""

    def sample(self, n: int, *, seed: int = 0) -> Images:
        """``n`` pictures; the same call gives the same pictures."""


def audit_synthesizer(
    model: Sampler,
    seen: Images,
    unseen: Images,
    *,
    references: int | None,
    number: int | None,
    minutes: float | None,
    seed: int,
) -> Report:
    """The audit of a synthesizer; see :func:`diptych.audit.privacy.privacy_audit.privacy`."""
    likelihood = has_likelihood(model)
    if references is not None and not likelihood:
        raise UsageError(
            "Reference models are for recognizers, VAEs and flows: others tell no likelihood. Leave it out."
        )
    if number is not None and number < MIN_SAMPLES:
        raise UsageError(f"An audit needs {MIN_SAMPLES} samples at least, not {number}.")
    size = model.size_ if isinstance(model, Synthesizer) else int(model.sample(1, seed=seed).dimensions().min())
    candidates = synthesizer_candidates(seen, unseen, size, getattr(model, "training_digests", NONE))
    kind = getattr(model, "kind", "synthesizer")
    report = new_report(kind, candidates, seed)
    promise = model._facts().get("privacy", {}) if isinstance(model, Synthesizer) else {}
    sentence = promise_sentence(promise)
    report.findings += [sentence] if sentence else []
    if candidates.too_few:
        report.verdict = privacy_verdict.too_few(candidates.too_few)
        return report
    samples = square_images(model.sample(number or _number(model, candidates), seed=seed), size, "generated")
    report.facts["samples"] = len(samples)
    scores = nearness(candidates, samples, size, seed)
    attempts = 2 if likelihood else 1
    attacks = [attack(f"nearness of {len(samples):,} samples", scores, candidates, seed, attempts)]
    differ = False
    if likelihood:
        tried, differ = _by_likelihood(cast(Synthesizer, model), candidates, references, minutes, seed)
        attacks.append(tried)
    add_membership(report, attacks, candidates)
    copied = _add_copies(report, samples, candidates, size, seed)
    leaks = privacy_verdict.leaks(attacks, [], kind)
    if copied:
        report.verdict = privacy_verdict.copies(copied)
    elif differ:
        report.verdict = privacy_verdict.sets_differ()
    else:
        report.verdict = leaks or privacy_verdict.no_sign(attacks, kind, private=bool(promise))
    return report


def _number(model: Sampler, candidates: Candidates) -> int:
    most = MAX_OF_MANY_CALLS if getattr(model, "calls", 1) > 2 else MAX_SAMPLES
    return min(most, max(MIN_SAMPLES, int(candidates.members.sum())))


def _by_likelihood(
    model: Synthesizer, candidates: Candidates, references: int | None, minutes: float | None, seed: int
) -> tuple[Attack, bool]:
    """The attack by how well the model knows each picture, and whether the two sets differ in themselves."""

    def signal(reference: Synthesizer) -> Signals:
        return fit_to_picture(reference, candidates.images)

    number = references or DEFAULT_SYNTHESIZERS
    trained = train_references(candidates, number, fit_synthesizer(model), signal, minutes, seed)
    scores = relative_fit(signal(model), trained.signals)
    name = f"likelihood, against {number} reference models"
    return attack(name, scores, candidates, seed, attempts=2), sets_differ(trained, candidates, seed)


def _add_copies(report: Report, samples: Images, candidates: Candidates, size: int, seed: int) -> str:
    """Add the search for copies; its sentence where there are many, else empty."""
    training = random_subset(candidates.training, MAX_TRAINING, seed)
    real = RealInput(square_images(candidates.unseen, size), training)
    audit = audit_copies(samples, real, Budget(None))
    add_copies(report, audit, training)
    if audit is None or audit.verdict != "copies":
        return ""
    return f"{audit.share} of {audit.share.n:,} samples copy training pictures. {VERDICTS['copies'].partition('.')[0]}."
