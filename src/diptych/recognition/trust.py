"""What makes an answer one to act on: its calibration, and how well that holds, measured and told."""

from diptych.data.images import Images
from diptych.recognition import calibration, conformal, preparation, unknown
from diptych.recognition.memory import Memory
from diptych.recognition.observed import Observed
from diptych.recognition.prediction import Reading


def calibrated(observed: Observed, images: Images, memory: Memory | None) -> Reading:
    """How to read a network's answers, from what it sees of labelled pictures that it was not trained on.

    The same pictures set the temperature and then the cutoff of the sets. A temperature is one number, and leaves
    the order of two classes' probabilities as it is, so that this moves coverage by less than the range that is told;
    ``evaluate`` measures it on pictures that set neither.
    """
    logits, several = observed.logits, images.multi_label
    truth = preparation.truth(images)
    first = Reading(images.classes, several, calibration.temperature(logits, truth))
    chances = first.probabilities(logits)
    find = conformal.cutoff_of_several if several else conformal.cutoff
    return Reading(
        images.classes,
        several,
        first.temperature,
        unknown.threshold(unknown.energy(logits, multi_label=several)),
        len(images),
        find(chances.numpy(), images.labels),
        tuple(calibration.label_thresholds(chances, truth).tolist()) if several else (),
        None if memory is None else unknown.Scale.of(unknown.signs(observed, memory, multi_label=several)),
    )
