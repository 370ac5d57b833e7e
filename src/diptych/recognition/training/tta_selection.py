"""Whether test-time augmentation pays, and for which pictures, chosen on the validation pictures."""

import logging
from dataclasses import replace

from torch import Tensor

from diptych.data.images import Images
from diptych.data.transforms import Augment
from diptych.recognition import datasets
from diptych.recognition.confidence.temperature import fit_temperature, nll
from diptych.recognition.inference import batched
from diptych.recognition.inference.outputs import Outputs
from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import TTA, margins

log = logging.getLogger("diptych")
UNCERTAIN_SHARE = 0.4  # of the pictures are seen in several views, at most
VIEWS_EACH = 6 * UNCERTAIN_SHARE  # of a picture, on average, at most
CHANGED_SHARE = 0.95  # of the labels that the views change is enough
STANDARD_ERRORS = 2.0  # that the gain must lie above zero


def select_tta(network: Network, images: Images, outputs: Outputs, size: int, augment: Augment, views: int) -> Outputs:
    """Give the network the test-time augmentation that pays, if any does, and return its outputs with it.

    Parameters
    ----------
    images, outputs
        Labelled pictures that were not trained on, and the network's outputs for one view of each.
    augment
        What it was trained with.
    views
        How many views this may compute, at most.
    """
    multi_label, targets = images.multi_label, datasets.targets(images)
    tta = TTA.like(augment, size, multi_label=multi_label)
    if network.pretrained:  # each view of a backbone is dear, and the mirrored one brings most
        tta = replace(tta, shift=0)
    rows = uncertain_rows(outputs.logits, multi_label=multi_label, most=views // tta.count)
    if tta.count == 1 or len(rows) == 0:
        return outputs

    def averaged(pictures: Tensor) -> Tensor:
        return tta.averaged_logits(network.logits_and_features, pictures, len(pictures))

    augmented = batched.run_batched(network, averaged, images[rows.numpy()], size, "Test-time augmentation")
    network.tta = with_threshold(tta, outputs.logits[rows], augmented, targets[rows])
    if network.tta is None:
        return outputs
    kept = margins(outputs.logits[rows], multi_label=multi_label) < network.tta.threshold
    share = 100 * int(kept.sum()) / len(images)
    log.info("Uncertain pictures (%.0f %%) are seen in %d views, and the logits averaged.", share, tta.count)
    return replace(outputs, logits=outputs.logits.index_copy(0, rows[kept], augmented[kept]))


def uncertain_rows(logits: Tensor, *, multi_label: bool, most: int) -> Tensor:
    """The rows to try views on, the least clear first: at most so many, and at most 40 %."""
    order = margins(logits, multi_label=multi_label).argsort(stable=True)
    return order[: min(most, int(UNCERTAIN_SHARE * len(logits)))]


def with_threshold(tta: TTA, before: Tensor, after: Tensor, targets: Tensor) -> TTA | None:
    """The augmentation with its threshold, or ``None`` if it does not pay.

    Parameters
    ----------
    before, after
        (n, K) logits of the rows of :func:`uncertain_rows`: of one view, and averaged over all.
    targets
        (n,) int64, or (n, K) bool.

    It pays if the targets become likelier by more than two standard errors; the threshold is the margin under which
    95 % of the changed labels lie. Labels that turn right or wrong are too few to choose by: on 2,500 pictures of
    CIFAR-10 some ninety change and a net of fifteen turn right, and a threshold fitted to those kept half of the gain.
    """
    changed = _predicted(before, targets) != _predicted(after, targets)
    changed = changed.any(1) if targets.ndim == 2 else changed
    if not changed.any():
        return None
    temperature = fit_temperature(before, targets)
    gains = nll(before / temperature, targets) - nll(after / temperature, targets)
    if not float(gains.mean()) > STANDARD_ERRORS * float(gains.std()) / len(gains) ** 0.5:
        return None
    covered = changed.cumsum(0)
    enough = int((covered >= CHANGED_SHARE * covered[-1]).nonzero()[0])
    margin = margins(before, multi_label=tta.multi_label)
    threshold = margin[enough : enough + 2].mean()  # between the last row inside and the next
    return replace(tta, threshold=float(threshold))


def _predicted(logits: Tensor, targets: Tensor) -> Tensor:
    """(n,) the predicted class, or (n, K) which labels."""
    return logits > 0 if targets.ndim == 2 else logits.argmax(1)
