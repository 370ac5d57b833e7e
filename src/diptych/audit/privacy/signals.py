"""What an attacker reads from a model for each picture: the higher, the likelier that it was trained on it."""

import numpy as np
import torch
from numpy.typing import NDArray

from diptych.data.images import Images
from diptych.recognition import datasets
from diptych.recognition.inference.outputs import compute_outputs
from diptych.recognition.recognizer import Recognizer
from diptych.synthesis.flow import Flow
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.vae import VAE

MIN_LOG_PROBABILITY = -30.0  # of a class, also of one that a reference model does not know
LATENT_DRAWS = 2  # by which the bits of a VAE are averaged

Signals = NDArray[np.float64]


def log_probability(model: Recognizer, images: Images) -> Signals:
    """(N,) log p(label | picture) of a recognizer, of labels by their names."""
    logits = compute_outputs(model.network_, images, model.size_, title="Asking the model").logits.double()
    log_probabilities = torch.log_softmax(logits, 1).clamp(min=MIN_LOG_PROBABILITY).numpy()
    number = {name: column for column, name in enumerate(model.classes_)}
    columns = np.array([number.get(name, -1) for name in images.classes])[datasets.targets(images).numpy()]
    own = log_probabilities[np.arange(len(images)), np.maximum(columns, 0)]
    return np.where(columns >= 0, own, MIN_LOG_PROBABILITY)


def has_likelihood(model: object) -> bool:
    """Whether a synthesizer tells how well it knows a single picture."""
    return isinstance(model, VAE | Flow)


def fit_to_picture(model: Synthesizer, images: Images) -> Signals:
    """(N,) how well a VAE or a flow knows each picture: minus its bits per dimension, or minus its velocity's error."""
    if isinstance(model, VAE):
        draws = [model.bits_per_dimension(images, seed=draw * len(images)) for draw in range(LATENT_DRAWS)]
        return -torch.stack(draws).mean(0).numpy()
    assert isinstance(model, Flow)
    return -model.velocity_errors(images).numpy()


def relative_fit(target: Signals, references: Signals) -> Signals:
    """How much better the audited synthesizer knows each picture than the references do on average.

    Calibrated by difficulty (Watson et al., "On the importance of difficulty calibration in membership inference
    attacks", ICLR 2022).
    """
    return np.asarray(target - references.mean(0))
