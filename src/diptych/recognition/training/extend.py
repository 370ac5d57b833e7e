"""Training a finished recognizer further, and keeping whichever is better on its validation pictures."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.warm_start.extension import CAPTION, Comparison, extensions_table
from diptych.metrics import classification
from diptych.recognition import datasets
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.evaluation.reliability import bootstrap_score
from diptych.recognition.evaluation.share_score import share_score
from diptych.recognition.inference.outputs import compute_outputs
from diptych.recognition.training.fit import FitResult, FittedModel, fit_result, prepare_job, train_model
from diptych.recognition.training.run import Job
from diptych.recognition.training.warm_start import WarmStart
from diptych.report import Score

Records = list[dict[str, Any]]
MIN_PROBABILITY = 1e-12  # of the true label, so that one confident error does not make the loss infinite


def extend(
    start: WarmStart,
    rule: DecisionRule,
    parameters: Mapping[str, Any],
    images: Images,
    validate: Images | None,
    *,
    started: float,
) -> tuple[FitResult | None, Records]:
    """Train further, or continue to, for the minutes of the extension.

    Parameters
    ----------
    start
        The finished recognizer.
    rule
        Its decision rule.

    Returns
    -------
    The extended recognizer, ``None`` if it is no better, and what is known of all extensions.
    """
    extension = start.extension
    assert extension is not None
    settings = extension.settings if extension.folder else {}
    job, data, indexed = prepare_job(
        parameters, images, validate, folder=extension.folder, settings=settings, started=started, start=start
    )
    outputs = compute_outputs(start.network, job.validation, job.config.size, title="Scoring")
    model = train_model(job, data, indexed)
    comparison = _compare(job, (outputs.logits, rule), (model.result.outputs.logits, model.rule))
    result = model.result
    record = extension.record(result.seen_pictures, result.seconds, comparison, result.untuned)
    records = [*extension.records, record]
    if not comparison.better:
        return None, records
    facts = start.facts
    joined = replace(
        result,
        seen_pictures=facts["seen_pictures"] + result.seen_pictures,
        seconds=facts["seconds"] + result.seconds,
        history=extension.history(result.history),
        tables={**result.tables, CAPTION: extensions_table(records)},
    )
    lengths = {name: facts["training"][name] for name in ("minutes", "epochs")}  # of the first run
    job = replace(job, config=replace(job.config, **lengths))
    extended: FittedModel = replace(model, job=job, result=joined)
    return fit_result(extended, parameters["seed"], start), records


def _compare(job: Job, before: tuple[Tensor, DecisionRule], after: tuple[Tensor, DecisionRule]) -> Comparison:
    """Compare two recognizers, by logits and decision rules: by the score of the run; of equals, by the loss."""
    (measure, old), (_, new) = (_score(job, *model) for model in (before, after))
    higher_is_better = old.value != new.value
    if not higher_is_better:
        measure, (old, new) = "log loss", (_loss(job, *model) for model in (before, after))
    better = new.value > old.value if higher_is_better else new.value < old.value
    # All processes of a run must agree.
    better = bool(ProcessGroup(machine.device()).broadcast([better])[0])
    return Comparison(measure, old, new, better)


def _score(job: Job, logits: Tensor, rule: DecisionRule) -> tuple[str, Score]:
    """The score that training is to raise, of a model's final predictions, with its interval."""
    targets = datasets.targets(job.validation)
    predicted = rule.predicted_labels(rule.probabilities(logits))
    n, classes = len(targets), len(rule.classes)
    if job.validation.multi_label:
        return "macro F1", bootstrap_score(lambda r: classification.macro_f1(targets[r], predicted[r], classes), n)
    if job.class_shares is not None:
        return "balanced accuracy", bootstrap_score(
            lambda r: classification.balanced_accuracy(targets[r], predicted[r], classes), n
        )
    return "accuracy", share_score(round(classification.accuracy(targets, predicted) * n), n)


def _loss(job: Job, logits: Tensor, rule: DecisionRule) -> Score:
    """The cross-entropy of the calibrated probabilities."""
    targets, probabilities = datasets.targets(job.validation), rule.probabilities(logits)
    if job.validation.multi_label:
        loss = F.binary_cross_entropy(probabilities, targets.to(probabilities.dtype))
    else:
        loss = -probabilities.gather(1, targets[:, None]).clamp(min=MIN_PROBABILITY).log().mean()
    return Score(float(loss), None, None, len(targets))
