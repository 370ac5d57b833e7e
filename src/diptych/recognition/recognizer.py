"""``Recognizer``: predicts what is in a picture, how confident it is, and when it does not know."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych import artefact, tensor_files
from diptych.artefact import Artefact
from diptych.data.images import Images, ImagesLike
from diptych.engine import checkpoint, picture_record, row_jobs
from diptych.engine.privacy.budget import refuse_further_training
from diptych.engine.run_settings import MINUTES, budget_start
from diptych.engine.stopping import draft
from diptych.engine.warm_start.extension import check_extendable
from diptych.errors import Interrupted, UsageError
from diptych.recognition import datasets, networks
from diptych.recognition.confidence.calibrate import fit_decision_rule
from diptych.recognition.evaluation.evaluate import evaluate_network
from diptych.recognition.evaluation.worst_errors import ErrorExplainer
from diptych.recognition.explanation import attribution
from diptych.recognition.explanation.nearest import NearestPictures, nearest_pictures
from diptych.recognition.fitted import FittedRecognizer
from diptych.recognition.inference import batched, fast_backend
from diptych.recognition.inference.embeddings import FILE as EMBEDDINGS
from diptych.recognition.inference.outputs import compute_outputs, stream_outputs
from diptych.recognition.model_card import model_card
from diptych.recognition.prediction_jobs import predictions_by
from diptych.recognition.predictions import Predictions
from diptych.recognition.restore import RestoredModel, copy_model_files
from diptych.recognition.settings import AUTOMATIC
from diptych.recognition.training import config
from diptych.recognition.training.fit import FitResult, fit
from diptych.recognition.training.private.private_fit import fit_privately
from diptych.recognition.warm_startable import KIND, WarmStartable
from diptych.report import Report
from diptych.settings import numbers, whole
from diptych.stored_networks import with_parameters

log = logging.getLogger("diptych")


class Recognizer(FittedRecognizer, WarmStartable):
    """A recognizer of the classes of its training pictures.

    Parameters
    ----------
    network
        "auto": from scratch for small pictures; for photographs a pretrained backbone, with the weights that the
        environment's ``DIPTYCH_WEIGHTS`` names, else those in the hub's cache, else the built-in "lite0". From
        scratch is "speednet" or, with many pictures and a time budget, that of its variants which learns most in it:
        "speednet-s", "speednet-m", "speednet-95", "speednet-96". Or one of these, "convnet", "alexnet", "lite0" (with
        an extra "lite1", "lite2"), "timm:NAME" (pretrained; fetched if need be), "timm:NAME@PATH" (with weights from
        there), or a class of ``torch.nn.Module``, called as ``cls(classes, size)`` or ``cls(classes)``.
    size
        Pixels a side of the network's input; ``None`` follows the pictures, the network and the machine.
    minutes
        Time budget of ``fit``, everything included; ``None`` lets ``epochs`` set the length.
    epochs
        Length of the training; ``None`` (and no ``minutes``) follows the number of pictures, within five minutes where
        the network is pretrained.
    batch, lr
        Pictures a step and the peak learning rate; ``None`` means what suits the network.
    imbalance
        "auto": where the classes are uneven, each is made to count the same, see
        :mod:`diptych.recognition.training.imbalance`; "none": predictions follow how frequent the classes were.
    group, remedy
        A metadata column, and what is done so that its groups are recognised equally well: "balanced", "last-layer" or
        "group-dro", see :mod:`diptych.recognition.training.remedies`. The report has the worst group's accuracy.
        ``None``: nothing is done.
    epsilon, delta
        Differential privacy: a bound on what the recognizer can tell about one training picture, see
        :mod:`diptych.engine.privacy`; "auto" is then a small network for small pictures, and for photographs the last
        layer on a pretrained backbone. ``None``: no bound, and of δ 1e-5 or a tenth of one in the pictures.
    seed
        Of the initial weights, the split, the order and the augmentation; the noise of a private training comes from
        the operating system.

    Attributes
    ----------
    classes_
        Class names, in the order of the probabilities.
    size_, multi_label_
        The picture size; whether a picture may have several labels.
    network_
        The network, a :class:`diptych.recognition.networks.Network`.
    temperature_, threshold_
        The calibration: what logits are divided by; the familiarity under which a picture is "unknown".
    embedding_index_
        Embeddings of up to 10,000 training pictures, for "unknown" and for the nearest pictures.
    scores_
        Scores on the validation pictures, each ``{"value", "low", "high", "n"}``; ``None`` for an end that is unknown.
    report_
        The report on the validation pictures; ``None`` in a loaded recognizer (its folder holds the page).
    """

    def check_settings(self) -> None:
        """Refuse values out of range, and a network that there is not."""
        super().check_settings()
        if self.network != AUTOMATIC:
            networks.check_name(self.network)

    @numbers(more=MINUTES)
    def fit(
        self,
        images: ImagesLike,
        labels: Any = None,
        *,
        validate: ImagesLike | None = None,
        into: str | Path | None = None,
        more: float | None = None,
        start: "str | Path | Recognizer | None" = None,
    ) -> Self:
        """Train on labelled pictures.

        Parameters
        ----------
        images
            At least ten readable pictures with labels, two classes, two pictures a class, in any form that
            :meth:`Images.of` takes, as wherever pictures are. If they come in parts
            (a folder with train, validation and test inside), "train" is trained on, "validation" validated on,
            and "test" left unread.
        labels
            A name or a number for each picture, as :meth:`Images.of` takes them; ``None``: the pictures' own.
        validate
            Pictures to validate on, labels beside them as ``Images.of(pictures, labels)``; ``None`` takes the set's own
            part, or holds out up to 15 %.
        into
            The folder of the model. The same call again continues an interrupted run, and returns at once
            after a finished one. ``None`` writes nothing.
        more
            Minutes that the finished recognizer in ``into`` (``None``: this one) is trained further; all else as in its
            fit. The result is the better one on the validation pictures, which stay the same.
        start
            A recognizer, or its folder, whose weights this one starts from, the head of the classes that both have
            included; network and size follow it. None of the pictures that it was trained on is validated on.

        Raises
        ------
        DataError
            The pictures cannot be trained on.
        UsageError
            A parameter cannot be, or ``into`` holds another run.
        Interrupted
            A signal stopped the run. The model that it has so far is in ``into``, and the same call continues it.
        """
        started = budget_start()
        self.check_settings()
        if self.network != AUTOMATIC:
            networks.check(self.network)
        images, validate = Images.of(images, labels), None if validate is None else Images.of(validate)
        folder = None if into is None else Path(into)
        if more is not None:
            check_extendable(folder, fitted=hasattr(self, "network_"))
            if self.remedy is not None:
                raise UsageError("A recognizer with a remedy is not trained further. Fit again, with more minutes.")
        if self.epsilon is not None:
            refuse_further_training(more=more is not None, start=start is not None)
        checkpoint.check_length(folder, self.parameters())
        source = None if start is None else self._start_from(start)
        settings = config.run_settings(self.parameters(), images, validate, source)
        picture_record.check(folder, settings, images, validate)
        if more is not None:
            return self._extend(images, validate, folder, settings, source, more, started)
        if checkpoint.is_finished(folder, settings):
            log.info("%s already holds this recognizer, finished.", folder)
            return self._restore(artefact.read(str(folder), KIND))
        run: dict[str, Any] = {"folder": folder, "settings": settings, "started": started}
        if self.epsilon is not None:
            result = fit_privately(self.parameters(), images, validate, **run)
        else:
            result = fit(self.parameters(), images, validate, start=source, **run)
        self._adopt_result(result, settings)
        if folder is not None and result.leader:
            self._save_result(folder, result.stopped)
        return self

    def predict(self, images: ImagesLike) -> Predictions:
        """Predict the labels of each picture; one that cannot be read gets a row with the reason.

        Of one picture, a path say, these are predictions for one: ``predict("cat.jpg")[0].name`` is "cat".

        Computed in float32, and independent of which pictures are predicted together; on a processor, work of more
        than twenty seconds may run on a faster backend with the same labels, whose confidences may differ by a
        hundredth (:mod:`diptych.recognition.inference.fast_backend`).
        """
        images = Images.of(images, "none")
        forward = fast_backend.fastest_backend(self._fitted(), images, self.size_, multi_label=self.multi_label_)
        return self._predictions(compute_outputs(self.network_, images, self.size_, forward=forward), images)

    def predict_batches(self, images: ImagesLike) -> Iterator[Predictions]:
        """The same for about a thousand pictures at a time, in order: constant memory for any number of them."""
        images = Images.of(images, "none")
        if (runner := row_jobs.runner()) is not None:
            yield from predictions_by(runner, self, images)
            return
        forward = fast_backend.fastest_backend(self._fitted(), images, self.size_, multi_label=self.multi_label_)
        start = 0
        for outputs in stream_outputs(self.network_, images, self.size_, forward=forward):
            batch = images[start : start + len(outputs.logits)]
            yield self._predictions(outputs, batch)
            start += len(batch)

    def embed(self, images: ImagesLike) -> Tensor:
        """The network's features of each picture, before its head: (N, D) float32, each of unit length.

        Raises
        ------
        DataError
            A picture cannot be read.
        """
        network, images = self._fitted(), Images.of(images, "none")
        datasets.check_readable(images, self.size_)
        return F.normalize(batched.batched_features(network, images, self.size_), dim=1)

    def explain(self, images: ImagesLike, label: str | int | None = None) -> Tensor:
        """Which places of each picture speak for a label: (N, size_, size_) float32 in 0..1.

        A map covers the whole picture, squashed to the square of the network's input. Its strongest place is 1; all
        of it is 0 where nothing speaks for the label. See :mod:`diptych.recognition.explanation.attribution`.

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
        network, images = self._fitted(), Images.of(images, "none")
        datasets.check_readable(images, self.size_)
        labels = None
        if label is not None:
            labels = torch.full((len(images),), attribution.class_number(label, self.classes_))
        return attribution.attribution_maps(network, images, self.size_, labels, multi_label=self.multi_label_)

    @numbers(k=whole(1))
    def neighbours(self, images: ImagesLike, k: int = 3) -> NearestPictures:
        """The training pictures most like each picture, among the up to 10,000 of the embedding index.

        Raises
        ------
        DataError
            A picture cannot be read, or this recognizer has no embedding index.
        """
        self._fitted()
        return nearest_pictures(self.embedding_index_, self.embed(images), self.classes_, k)

    def calibrate(self, images: ImagesLike, labels: Any = None) -> Self:
        """Fit the decision rule to labelled pictures that were not trained on; ``labels`` as in :meth:`fit`.

        That is the temperature, the label sets, the labels' thresholds and what is "unknown". ``fit`` has done so
        with its validation pictures; do it again where pictures come from elsewhere.
        """
        network = self._fitted()
        labelled = datasets.evaluation_images(Images.of(images, labels), self.classes_, self.size_, "A calibration")
        outputs = compute_outputs(network, labelled, self.size_, title="Calibrating")
        self._decision_rule = fit_decision_rule(outputs, labelled, self.embedding_index_)
        self._facts["calibration"] = self._decision_rule.to_json()
        return self

    def score(self, images: ImagesLike, labels: Any = None) -> float:
        """The accuracy on labelled pictures, as scikit-learn asks for it (0..1); :meth:`evaluate` says much more.

        Of several labels, the share of pictures with all of them right. ``labels`` as in :meth:`fit`.
        """
        self._fitted()
        labelled = datasets.evaluation_images(Images.of(images, labels), self.classes_, self.size_)
        correct = self.predict(labelled).labels == labelled.labels
        return float(correct.reshape(len(labelled), -1).all(1).mean())

    def evaluate(self, images: ImagesLike, labels: Any = None, *, unknown: ImagesLike | None = None) -> Report:
        """Evaluate on labelled pictures that were not trained on; classes are matched by name.

        A set in parts (train, validation, test) is evaluated on "test" alone. Pictures that this recognizer was trained
        on are known by their contents, and left out.

        Parameters
        ----------
        labels
            As in :meth:`fit`.
        unknown
            Pictures of something else, labelled or not; with them, how well they are flagged "unknown" is measured.

        Raises
        ------
        DataError
            The pictures have no labels, or a class that this recognizer does not know; or it was trained on all of
            them.
        """
        explainer = ErrorExplainer(self._fitted(), self.size_, self.embedding_index_)
        labelled, others = Images.of(images, labels), None if unknown is None else Images.of(unknown, "none")
        return evaluate_network(explainer, self._decision_rule, labelled, others, self.training_digests)

    def save(self, folder: str | Path) -> Path:
        """Write the model into ``folder``: facts, weights, card, report. Returns the folder.

        Raises
        ------
        UsageError
            The folder holds something that is no model.
        """
        weights, facts, report = self._fitted().state_dict(), self._facts, self.report_
        if report is None:
            return artefact.write(folder, facts, weights, extra_files=copy_model_files(self._folder, facts))
        card, index = model_card(facts, report), self.embedding_index_
        extra = {} if index is None else {EMBEDDINGS: tensor_files.pack(index.tensors())}
        return artefact.write(folder, facts, weights, data=self._data, card=card, report=report, extra_files=extra)

    @classmethod
    def from_artefact(cls, saved: Artefact, network: type[nn.Module] | None = None) -> Self:
        """The recognizer of an artefact; ``network`` is the class it was trained with, if that was a custom one."""
        others = {} if network is None else {"network": network}
        return with_parameters(cls, saved, **others)._restore(saved)

    def _save_result(self, folder: Path, stopped: Interrupted | None) -> None:
        """Save the model of a run that is over; of a ``stopped`` one its draft, and say how to go on."""
        if stopped is None:
            self.save(folder)
            checkpoint.remove(folder)
            return
        if draft.is_best(folder, self._facts[artefact.UNFINISHED]["score"]):
            self.save(folder)
        raise draft.interrupted(stopped, folder)

    def _adopt_result(self, result: FitResult, settings: dict[str, Any]) -> None:
        self._adopt(result)
        self.report_, self._data = result.report, result.data
        identity = {"kind": KIND, "parameters": config.stored_parameters(self.parameters()), "settings": settings}
        self._facts = {**identity, **result.facts, "calibration": self._decision_rule.to_json()}

    def _restore(self, saved: Artefact) -> Self:
        """Become the recognizer of an artefact."""
        self._adopt(RestoredModel.read(saved, self.network))
        self.report_, self._facts, self._data, self._folder = None, saved.facts, saved.data, saved.folder
        return self

    def _adopt(self, model: FitResult | RestoredModel) -> None:
        self.network_, self.size_, self.embedding_index_ = model.network, model.size, model.embedding_index
        self._decision_rule = model.decision_rule
        self.classes_, self.multi_label_ = model.decision_rule.classes, model.decision_rule.multi_label
