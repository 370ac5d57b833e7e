"""What an audit of a recognizer looks at: held-out real pictures and the recognizer's answers to them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.data.messages import join_names
from diptych.data.provenance import refuse_generated
from diptych.errors import UsageError
from diptych.recognition import datasets
from diptych.recognition.evaluation.evaluate import held_out_pictures
from diptych.recognition.inference.outputs import compute_outputs

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer


@dataclass(frozen=True)
class Answers:
    """A recognizer's answers to N labelled pictures.

    Attributes
    ----------
    images
        The pictures; real, readable and not trained on.
    targets, predicted
        (N,) class numbers.
    confidence
        (N,) of each prediction, 0..1.
    classes
        Names of the classes.
    notes
        Sentences on what was left out.
    """

    images: Images
    targets: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether each prediction is right."""
        return np.asarray(self.targets == self.predicted)

    def __len__(self) -> int:
        return len(self.targets)


def answer(model: "Recognizer", images: Images) -> Answers:
    """The answers of a recognizer to the pictures that it can be audited on.

    Raises
    ------
    DataError
        The pictures have no labels, one is generated, or the recognizer was trained on all of them.
    UsageError
        The recognizer gives several labels.
    """
    if model.multi_label_ or images.multi_label:
        raise UsageError("A bias audit is of a recognizer that gives one label a picture; this one gives several.")
    labelled = datasets.evaluation_images(images, model.classes_, model.size_)
    refuse_generated(labelled, "An audit")
    held_out, notes = held_out_pictures(labelled, model.training_digests)
    if held_out.skipped:
        reasons = join_names([str(error) for error in held_out.skipped], datasets.MAX_NAMES)
        notes.append(f"Files that could not be used: {reasons}.")
    outputs = compute_outputs(model.network_, held_out, model.size_, title="Auditing")
    probabilities = model.decision_rule_.probabilities(outputs.logits)
    confidence, predicted = probabilities.max(1)
    targets = datasets.targets(held_out).numpy()
    return Answers(held_out, targets, predicted.numpy(), confidence.double().numpy(), model.classes_, tuple(notes))
