"""The privacy audit of a recognizer: membership inference with reference models, and a run with canaries."""

from collections.abc import Sequence

from diptych.audit.privacy import privacy_verdict
from diptych.audit.privacy.at_risk import pictures_at_risk
from diptych.audit.privacy.attacks import Attack, ClassRates, attack, class_rates, sets_differ
from diptych.audit.privacy.canary_run import CanaryRun, canary_run, check_canaries
from diptych.audit.privacy.candidates import Candidates, recognizer_candidates
from diptych.audit.privacy.membership_report import (
    add_classes,
    add_membership,
    add_pictures_at_risk,
    promise_sentence,
    strongest,
)
from diptych.audit.privacy.references import DEFAULT_RECOGNIZERS, fit_recognizer, train_references
from diptych.audit.privacy.signals import Signals, log_probability
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.metrics.membership import log_relative_probability, relative_log_odds
from diptych.recognition.recognizer import Recognizer
from diptych.report import Report, Score, Verdict

KIND = "recognizer"


def audit_recognizer(
    model: Recognizer,
    seen: Images,
    unseen: Images,
    *,
    references: int | None,
    canaries: int | None,
    minutes: float | None,
    seed: int,
) -> Report:
    """The audit of a recognizer; see :func:`diptych.audit.privacy.privacy_audit.privacy`."""
    if model.multi_label_ or seen.multi_label or unseen.multi_label:
        raise UsageError("A privacy audit is of a recognizer that gives one label a picture; this one gives several.")
    candidates = recognizer_candidates(seen, unseen, model.classes_, model.size_, model.training_digests)
    report = new_report(KIND, candidates, seed)
    promise = model.facts_.get("privacy", {})
    sentence = promise_sentence(promise)
    report.findings += [sentence] if sentence else []
    if candidates.too_few:
        report.verdict = privacy_verdict.too_few(candidates.too_few)
        return report

    if canaries is not None:
        check_canaries(canaries, candidates)

    def signal(reference: Recognizer) -> Signals:
        return log_probability(reference, candidates.images)

    trained = train_references(
        candidates, references or DEFAULT_RECOGNIZERS, fit_recognizer(model), signal, minutes, seed
    )
    own, against = log_probability(model, candidates.images), f"against {len(trained)} reference models"
    scores = {
        f"probability of the label, {against}": log_relative_probability(own, trained.signals),
        f"log odds of the label, {against}": relative_log_odds(own, trained.signals),
    }
    attacks = [attack(name, values, candidates, seed, len(scores)) for name, values in scores.items()]
    rows = class_rates(strongest(attacks), candidates)
    run = None if canaries is None else canary_run(model, candidates, canaries, seed)
    add_membership(report, attacks, candidates)
    add_classes(report, rows)
    add_pictures_at_risk(report, pictures_at_risk(trained, candidates), candidates)
    add_canaries(report, run)
    report.facts["reference models"] = len(trained)
    differ = sets_differ(trained, candidates, seed)
    report.verdict = _verdict(attacks, rows, run, differ=differ, private=bool(promise))
    return report


def _verdict(
    attacks: Sequence[Attack], rows: Sequence[ClassRates], run: CanaryRun | None, *, differ: bool, private: bool
) -> Verdict:
    """The first that applies."""
    if run is not None and run.broken:
        return privacy_verdict.promise_broken(run)
    if differ:
        return privacy_verdict.sets_differ()
    return privacy_verdict.leaks(attacks, rows, KIND) or privacy_verdict.no_sign(attacks, KIND, private=private)


def new_report(kind: str, candidates: Candidates, seed: int) -> Report:
    """A report on these candidates, as yet without results."""
    members, others = int(candidates.members.sum()), int((~candidates.members).sum())
    title = f"Privacy audit of a {kind}: {members:,} training pictures and {others:,} others"
    facts = {"training pictures": members, "other pictures": others, "seed": seed}
    return Report(title, findings=list(candidates.notes), facts=facts)


def add_canaries(report: Report, run: CanaryRun | None) -> None:
    """Add what the run with canaries shows, or how to have one."""
    if run is None:
        return
    report.scores["epsilon_at_least"] = Score(run.epsilon, None, None, run.guesses)
    promise = "The run was not private, so there is no promise to compare this with."
    if run.promised is not None:
        below = "above" if run.broken else "under"
        promise = f"That is {below} the ε of {run.promised:.2f} that its accountant gives."
    report.findings.append(
        f"One run with {run.canaries:,} canaries, pictures with a wrong label of which half were trained on: of "
        f"{run.guesses:,} guesses {run.correct:,} were right, so ε is {run.epsilon:.2f} at least, with 95 % "
        f"confidence. {promise}"
    )
    report.facts["canaries"] = {
        "number": run.canaries, "guesses": run.guesses, "correct": run.correct, "epsilon at least": run.epsilon,
        "epsilon promised": run.promised, "delta": run.delta,
    }  # fmt: skip
