"""Calibration: the decision rule of a recognizer, fitted to labelled pictures that it was not trained on."""

from diptych.data.images import Images
from diptych.recognition import datasets
from diptych.recognition.confidence import conformal, ood, temperature
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs


def fit_decision_rule(outputs: Outputs, images: Images, index: EmbeddingIndex | None) -> DecisionRule:
    """Fit temperature, label sets, label thresholds and the out-of-distribution threshold.

    The same pictures set the temperature and then the cutoff of the sets. A temperature is one number, and leaves
    the order of two classes' probabilities as it is, so that this moves coverage by less than the stated range;
    ``evaluate`` measures it on pictures that set neither.

    Parameters
    ----------
    outputs
        Of the network, for ``images``.
    index
        Embeddings of training pictures; ``None``: only the largest logit flags what is unknown.
    """
    logits, multi_label = outputs.logits, images.multi_label
    targets = datasets.targets(images)
    uncalibrated = DecisionRule(images.classes, multi_label, temperature.fit_temperature(logits, targets))
    probabilities = uncalibrated.probabilities(logits)
    cutoff = conformal.multi_label_cutoff if multi_label else conformal.prediction_set_cutoff
    thresholds = temperature.fit_label_thresholds(probabilities, targets).tolist() if multi_label else ()
    scale = None
    if index is not None:
        scale = ood.FamiliarityScale.of(ood.ood_scores(outputs, index))
    return DecisionRule(
        images.classes,
        multi_label,
        uncalibrated.temperature,
        ood.response_threshold(ood.response(logits)),
        len(images),
        cutoff(probabilities.numpy(), images.labels),
        tuple(thresholds),
        scale,
    )


def describe_coverage(rule: DecisionRule) -> str:
    """How often the true label is in the sets, in a sentence."""
    n, target = rule.pictures, f"{conformal.TARGET:.0%}"
    if rule.multi_label:
        return f"On average the set holds {target} or more of a picture's labels, as calibrated on {n} pictures."
    low, high = conformal.coverage_range(n)
    return (
        f"Where it is unsure it names further labels: the true one is among them for {target} of pictures like those "
        f"of the calibration; given their count of {n}, for {low:.1%} to {high:.1%}, and for more where the likeliest "
        "label alone is right more often."
    )


def describe_false_alarms(rule: DecisionRule) -> str:
    """The share of known pictures that is flagged unknown, with its 95 % interval over draws of the pictures.

    As many as fall under the k-th lowest of n: Beta(k, n + 1 − k).
    """
    from scipy.special import betaincinv  # scipy.stats has it, too, and takes a second longer to import

    n, k = rule.pictures, ood.threshold_rank(rule.pictures)
    if k == 0:
        return f"{ood.SHARE:.0%}, as far as {n} pictures can tell"
    low, high = betaincinv(k, n + 1 - k, [0.025, 0.975])
    return f"{k / (n + 1):.1%} ({low:.1%} to {high:.1%})"
