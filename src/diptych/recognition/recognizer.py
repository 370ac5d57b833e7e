"""``Recognizer``: tells what is in a picture, how sure it is, and when it does not know."""

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych import artefact
from diptych.artefact import Artefact
from diptych.data.images import Images
from diptych.engine import checkpoint
from diptych.errors import NotFittedError, PictureError
from diptych.recognition import datasets, networks
from diptych.recognition.confidence import calibrate
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.confidence.ood import ood_scores
from diptych.recognition.evaluation import evaluate
from diptych.recognition.evaluation.worst_errors import ErrorExplainer
from diptych.recognition.explanation import attribution
from diptych.recognition.explanation.nearest import NearestPictures, nearest_pictures
from diptych.recognition.inference import batched, fast_backend
from diptych.recognition.inference.embeddings import FILE as MEMORY
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs, compute_outputs, stream_outputs
from diptych.recognition.model_card import model_card
from diptych.recognition.networks import Network
from diptych.recognition.predictions import Predictions
from diptych.recognition.restore import RestoredModel, carry_model_files
from diptych.recognition.training import config
from diptych.recognition.training.fit import FitResult, fit
from diptych.report import Report

log = logging.getLogger("diptych")
KIND = "recognizer"
PARAMETERS = ("network", "size", "minutes", "epochs", "batch", "lr", "imbalance", "seed")


class Recognizer:
    """A recognizer of the classes that its training pictures show.

    Parameters
    ----------
    network
        "auto": from scratch for small pictures; for photographs a pretrained backbone if its weights are at hand (in
        what the environment's ``DIPTYCH_WEIGHTS`` names, or in the hub's cache), else from scratch. From scratch is
        "speednet" or, of many pictures in so many minutes, that of its variants which learns most in them:
        "speednet-s", "speednet-m", "speednet-95", "speednet-96". Or one of these, "convnet", "alexnet", "timm:NAME"
        (pretrained; fetched if need be), "timm:NAME@PATH" (with the weights in a safetensors file or a folder), or a
        class of ``torch.nn.Module``, called as ``cls(classes, size)`` or ``cls(classes)``.
    size
        Pixels a side that the network sees; ``None`` follows the pictures, the network and the machine.
    minutes
        Time budget of ``fit``, everything included; ``None`` lets ``epochs`` set the length.
    epochs
        Length of the training; ``None`` (and no ``minutes``) follows the number of pictures.
    batch, lr
        Pictures a step and the peak learning rate; ``None`` means what suits the network.
    imbalance
        "auto": where the classes are uneven, each is made to count the same, see
        :mod:`diptych.recognition.training.imbalance`; "none": answers go by how frequent the classes were.
    seed
        Of the start, the split, the order and the augmentation.

    Attributes
    ----------
    classes_
        Class names, in the order of the probabilities.
    size_, multi_label_
        The picture size; whether a picture may have several labels.
    network_
        The network, a :class:`diptych.recognition.networks.Network`.
    temperature_, threshold_
        The calibration: logits are divided by the one; a familiarity under the other is told "unknown".
    memory_
        What it remembers of its training pictures; ``None`` in a model of an earlier version.
    report_
        The report on the validation pictures; ``None`` in a loaded recognizer (its folder holds the page).
    """

    classes_: tuple[str, ...]
    size_: int
    multi_label_: bool
    network_: Network
    embedding_index_: EmbeddingIndex | None
    report_: Report | None

    def __init__(
        self,
        network: str | type[nn.Module] = "auto",
        *,
        size: int | None = None,
        minutes: float | None = None,
        epochs: float | None = None,
        batch: int | None = None,
        lr: float | None = None,
        imbalance: str = "auto",
        seed: int = 0,
    ) -> None:
        self.network = network
        self.size = size
        self.minutes = minutes
        self.epochs = epochs
        self.batch = batch
        self.lr = lr
        self.imbalance = imbalance
        self.seed = seed

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in PARAMETERS}
        named = [f"{k}={v.__name__ if isinstance(v, type) else repr(v)}" for k, v in shown.items() if v is not None]
        return f"Recognizer({', '.join(named)})"

    def fit(self, images: Images, *, validate: Images | None = None, into: str | Path | None = None) -> Self:
        """Train on labelled pictures.

        Parameters
        ----------
        images
            At least ten readable pictures with labels, two classes, two pictures a class. If they come in parts
            (a folder with train, validation and test inside), "train" is trained on, "validation" validated on,
            and "test" left unread.
        validate
            Pictures to validate on; ``None`` takes the set's own part, or holds out up to 15 %.
        into
            The folder of the model. The same call again continues an interrupted run, and returns at once
            after a finished one. ``None`` writes nothing.

        Raises
        ------
        DataError
            The pictures cannot be trained on.
        UsageError
            A parameter cannot be, or ``into`` holds another run.
        """
        started = time.monotonic()
        config.check_parameters(self._parameters())
        folder = None if into is None else Path(into)
        settings = self._settings(images, validate)
        if checkpoint.is_finished(folder, settings):
            log.info("%s already holds this recognizer, finished.", folder)
            return self._adopt(artefact.read(str(folder), KIND))
        fitted = fit(self._parameters(), images, validate, folder, settings, started)
        self._take(fitted, settings)
        if folder is not None and fitted.leader:
            self.save(folder)
            checkpoint.remove(folder)
        return self

    def predict(self, images: Images) -> Predictions:
        """Tell what is in each picture; one that cannot be read gets a row with the reason.

        Answers are float32's and do not depend on which pictures are asked about together; on a processor, work of
        more than twenty seconds may run on a faster backend with the same labels, whose confidences may be a hundredth
        off (:mod:`diptych.recognition.inference.fast_backend`).
        """
        both = fast_backend.fastest_backend(self._fitted(), images, self.size_, several=self.multi_label_)
        return self._told(compute_outputs(self.network_, images, self.size_, both=both), images.known_errors())

    def predict_batches(self, images: Images) -> Iterator[Predictions]:
        """The same about a thousand pictures at a time, in order: constant memory for any number of them."""
        both, start = fast_backend.fastest_backend(self._fitted(), images, self.size_, several=self.multi_label_), 0
        for seen in stream_outputs(self.network_, images, self.size_, both=both):
            some = images[start : start + len(seen.logits)]
            yield self._told(seen, some.known_errors())
            start += len(some)

    def embed(self, images: Images) -> Tensor:
        """What the network sees in each picture, before it names it: (N, D) float32, each of unit length.

        Raises
        ------
        DataError
            A picture cannot be read.
        """
        network = self._fitted()
        datasets.check_readable(images, self.size_)
        return F.normalize(batched.batched_features(network, images, self.size_), dim=1)

    def explain(self, images: Images, label: str | int | None = None) -> Tensor:
        """Which places of each picture speak for a label: (N, size_, size_) float32 in 0..1.

        A map covers the whole picture, squashed to the square that the network sees. Its strongest place is 1; all of
        it is 0 where nothing speaks for the label. See :mod:`diptych.recognition.explanation.attribution`.

        Parameters
        ----------
        label
            A class's name or number; ``None``: the most likely of each picture.

        Raises
        ------
        DataError
            A picture cannot be read.
        UsageError
            There is no such class; or the network keeps no track of places, and captum is not installed.
        """
        network = self._fitted()
        datasets.check_readable(images, self.size_)
        asked = None if label is None else torch.full((len(images),), attribution.class_number(label, self.classes_))
        return attribution.attribution_maps(network, images, self.size_, asked, multi_label=self.multi_label_)

    def neighbours(self, images: Images, k: int = 3) -> NearestPictures:
        """The training pictures most like each picture, among up to 10,000 that are remembered.

        Raises
        ------
        DataError
            A picture cannot be read, or an earlier version made this recognizer, which remembers nothing.
        """
        self._fitted()
        return nearest_pictures(self.embedding_index_, self.embed(images), self.classes_, k)

    def calibrate(self, images: Images) -> Self:
        """Set all that is told of confidence from labelled pictures not trained on.

        That is the temperature, the sets, the labels' thresholds and what is "unknown". ``fit`` has done so from its
        validation pictures; do it again where pictures come from elsewhere.
        """
        network = self._fitted()
        known = datasets.evaluation_images(images, self.classes_, self.size_)
        self._decision_rule = calibrate.fit_decision_rule(
            compute_outputs(network, known, self.size_, title="Calibrating"), known, self.embedding_index_
        )
        self._facts["calibration"] = self._decision_rule.json()
        return self

    def evaluate(self, images: Images, *, unknown: Images | None = None) -> Report:
        """Judge on labelled pictures not trained on; classes are matched by name.

        A set in parts (train, validation, test) is judged on "test" alone.

        Parameters
        ----------
        unknown
            Pictures of something else, labelled or not; with them, how well they are told "unknown" is judged, too.

        Raises
        ------
        DataError
            The pictures have no labels, or a class that this recognizer does not know.
        """
        network = self._fitted()
        return evaluate.evaluate_network(
            ErrorExplainer(network, self.size_, self.embedding_index_), self._decision_rule, images, unknown
        )

    def save(self, folder: str | Path) -> Path:
        """Write the model into ``folder``: facts, weights, card, report. Returns the folder.

        Raises
        ------
        UsageError
            The folder holds something that is no model.
        """
        network = self._fitted()
        target = Path(folder)
        weights = network.state_dict()
        if self.report_ is None:
            return artefact.write(
                target, self._facts, weights, extra_files=carry_model_files(self._folder, self._facts)
            )
        told, page = model_card(self._facts, self.report_), self.report_
        beside = {} if self.embedding_index_ is None else {MEMORY: artefact.pack(self.embedding_index_.tensors())}
        return artefact.write(target, self._facts, weights, data=self._data, card=told, report=page, extra_files=beside)

    @classmethod
    def from_artefact(cls, found: Artefact, network: type[nn.Module] | None = None) -> Self:
        """The recognizer that an artefact holds; ``network`` is the class it was trained with, if it was one's own."""
        parameters = dict(found.facts.get("parameters", {}))
        if network is not None:
            parameters["network"] = network
        return cls(**parameters)._adopt(found)

    @property
    def temperature_(self) -> float:
        """What logits are divided by."""
        return self.decision_rule_.temperature

    @property
    def threshold_(self) -> float:
        """The familiarity (in an old model the negative energy) under which a picture is told "unknown"."""
        scale = self.decision_rule_.scale
        return self.decision_rule_.threshold if scale is None else scale.threshold

    @property
    def decision_rule_(self) -> DecisionRule:
        """How the network's answers are read: all that calibration has set."""
        self._fitted()
        return self._decision_rule

    def validated_on(self) -> list[str]:
        """The names of the validation pictures, as far as they are known."""
        data = self._data if self.report_ is not None else artefact.data(self._folder)
        return list(data.get("validation", {}).get("pictures", ()))

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARAMETERS}

    def _stored_parameters(self) -> dict[str, Any]:
        network = self.network
        return {**self._parameters(), "network": network if isinstance(network, str) else networks.name_of(network)}

    def _settings(self, images: Images, validate: Images | None) -> dict[str, Any]:
        """What makes a run this run and no other."""
        validation = None if validate is None else validate.fingerprint()
        return {**self._stored_parameters(), "data": images.fingerprint(), "validation": validation}

    def _fitted(self) -> Network:
        if not hasattr(self, "network_"):
            raise NotFittedError("This Recognizer has not been fitted. Call fit(images), or diptych.load(folder).")
        return self.network_

    def _told(self, seen: Outputs, errors: Mapping[int, PictureError]) -> Predictions:
        scale, memory, familiarity = self._decision_rule.scale, self.embedding_index_, None
        if scale is not None and memory is not None:  # else nothing but the energy can tell what is unknown
            familiarity = scale.familiarity(ood_scores(seen, memory, multi_label=self.multi_label_))
        return self._decision_rule.predictions(seen.logits, errors, familiarity)

    def _take(self, fitted: FitResult, settings: dict[str, Any]) -> None:
        self._become(fitted)
        self.report_, self._data = fitted.report, fitted.data
        told = {"kind": KIND, "parameters": self._stored_parameters(), "settings": settings, **fitted.facts}
        self._facts = {**told, "calibration": self._decision_rule.json()}

    def _adopt(self, found: Artefact) -> Self:
        """Become the recognizer that an artefact holds."""
        self._become(RestoredModel.read(found, self.network))
        self.report_ = None
        self._facts, self._folder = found.facts, found.folder
        return self

    def _become(self, held: FitResult | RestoredModel) -> None:
        self.network_, self.size_, self.embedding_index_, self._decision_rule = (
            held.network,
            held.size,
            held.memory,
            held.reading,
        )
        self.classes_, self.multi_label_ = held.reading.classes, held.reading.multi_label
