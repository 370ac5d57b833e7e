"""A fitted synthesizer: its networks, and how they are run so that each picture depends on its own seed alone."""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych import artefact, tensor_files
from diptych.artefact import Artefact
from diptych.data.images import Images
from diptych.data.labels import find_class
from diptych.data.sources.arrays import from_arrays
from diptych.data.training_digests import NONE, Digests, stored_digests
from diptych.data.transforms import to_uint8
from diptych.engine import machine, row_jobs
from diptych.engine.task import Task
from diptych.errors import DataError, NotFittedError, UsageError
from diptych.marks import Generated
from diptych.progress import Bar
from diptych.report import Report, Verdict, notebook
from diptych.stored_networks import built_from, load_weights
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.model_facts import check_synthesizer
from diptych.synthesis.protocols import Label, Weights
from diptych.synthesis.sampling import seeding
from diptych.synthesis.sampling.sampling_jobs import sample_by
from diptych.synthesis.settings import SynthesizerSettings
from diptych.synthesis.training.config import TrainingConfig
from diptych.synthesis.training.model_files import ModelFiles, read_model_files

NOISE_BLOCK = 1024  # pictures whose noise is in memory at a time
MAX_NAMED_CLASSES = 20  # in a message
RECORD = ("seen_pictures", "seconds", "extensions", "started_from", "privacy", artefact.UNFINISHED)
Modules = Mapping[str, nn.Module]


class SynthesisModel(SynthesizerSettings, ABC):
    """A model that generates pictures: its state once it is fitted, and how its networks are run.

    Attributes
    ----------
    classes_
        Names of the classes that it is conditional on; empty if it is unconditional.
    shares_
        Of each class among the training pictures.
    size_
        Pixels a side.
    layout_
        What its networks are built from.
    modules_
        The networks, in evaluation mode, with averaged weights.
    settings_
        The identity of its training run.
    scores_
        Losses and scores of the moment that the weights are of: numbers, or where an interval is known,
        ``{"value", "low", "high", "n"}``.
    verdict_
        The verdict on samples at the end of training, a first impression (see :mod:`diptych.synthesis.verdict`);
        ``None``: they were not evaluated.
    report_
        The report on its training run; ``None`` in a loaded model, whose folder holds it as ``report.html``.
    """

    kind: ClassVar[str]
    automatic_network: ClassVar[str | None] = None  # the name that stands for any of the networks
    needs_label: ClassVar[bool] = False  # whether a conditional model cannot decode without one
    later_modules: ClassVar[tuple[str, ...]] = ()  # which models of earlier versions lack
    classes_: tuple[str, ...]
    shares_: list[float]
    size_: int
    layout_: dict[str, Any]
    modules_: dict[str, nn.Module]
    settings_: dict[str, Any]
    scores_: dict[str, Any]
    verdict_: Verdict | None
    report_: Report | None
    _model_files: ModelFiles
    _folder_name: str  # of the artefact that it was loaded from, or saved in
    _digest_of: tuple[Modules, str]  # its networks, and the digest of their weights
    _record: dict[str, Any]  # of its runs: pictures seen, seconds, extensions, what it started from

    def _repr_html_(self) -> str:
        if not hasattr(self, "modules_"):
            return notebook.model(repr(self), {"fitted": False}, {})
        facts = {"classes": ", ".join(self.classes_) or "not conditional", "size": f"{self.size_} px"}
        verdict = {} if self.verdict_ is None else {"verdict": self.verdict_.sentence}
        return notebook.model(repr(self), {**facts, **verdict}, self.scores_)

    @property
    def calls(self) -> int:
        """How often a network is run for one picture that is sampled."""
        return 1

    @property
    def training_fingerprint(self) -> str | None:
        """Of its training pictures (``Images.fingerprint``); ``None`` where it was not saved."""
        self._check_fitted()
        return self._model_files.data.get("fingerprint")

    @property
    def training_digests(self) -> Digests:
        """Of its training pictures, and of those of the model that it started from; empty where they were not saved."""
        self._check_fitted()
        data = self._model_files.data
        return stored_digests(data) if "digests" in data else NONE

    @property
    def training_effort(self) -> tuple[int, float]:
        """How many pictures all its training runs have shown, and how many seconds they took."""
        self._check_fitted()
        runs = [self._record, *self._record.get("extensions", ())]
        return sum(run.get("seen_pictures", 0) for run in runs), sum(run.get("seconds", 0.0) for run in runs)

    def weights(self) -> dict[str, Tensor]:
        """All weights, by network and name: "generator.first.weight"."""
        return {f"{name}.{key}": t for name, module in self.modules_.items() for key, t in module.state_dict().items()}

    def generated_facts(self) -> Generated:
        """What its pictures are marked with: its kind and the name of its folder, and the digest of its weights."""
        known = getattr(self, "_digest_of", None)
        if known is None or known[0] is not self.modules_:
            known = self._digest_of = (self.modules_, hashlib.sha256(tensor_files.pack(self.weights())).hexdigest())
        return Generated("synthetic", f"{self.kind} {getattr(self, '_folder_name', '')}".strip(), known[1])

    def class_number(self, label: Label) -> int:
        """The number of a class; raises a :class:`UsageError` that names the classes if there is no such class."""
        if not self.classes_:
            raise UsageError("This model was fitted without labels, so it takes no label. Leave it out.")
        number = find_class(label, self.classes_) if isinstance(label, str) else None
        if number is not None:
            return number
        if not isinstance(label, str) and 0 <= int(label) < len(self.classes_):
            return int(label)
        names = ", ".join(self.classes_[:MAX_NAMED_CLASSES])
        raise UsageError(f"There is no class {label!r} here. The classes are: {names}.")

    def sample_labels(self, seeds: Sequence[int], label: Label | None) -> NDArray[np.int64]:
        """(N,) class numbers for the seeds: all of ``label``, or drawn by ``shares_``; -1 without classes."""
        if label is not None:
            return np.full(len(seeds), self.class_number(label), np.int64)
        if not self.classes_:
            return np.full(len(seeds), -1, np.int64)
        return seeding.seeded_labels(seeds, self.shares_)

    def sample_pixels(self, seeds: Sequence[int], labels: NDArray[np.int64], bar: Bar | None = None) -> Tensor:
        """(N, 3, S, S) uint8, a picture for each seed and label."""
        if len(seeds) > row_jobs.ROWS_PER_JOB and (runner := row_jobs.runner()) is not None:
            return sample_by(runner, self, list(seeds), labels)

        def draw(noise: Tensor, batch_labels: Tensor) -> Tensor:
            return to_uint8(self._draw(self.modules_, noise, batch_labels))

        blocks = [slice(start, start + NOISE_BLOCK) for start in range(0, len(seeds), NOISE_BLOCK)]
        pixels = [
            self._run(draw, seeding.seeded_noise(seeds[rows], self._noise_shape()), labels[rows], seeds[rows], bar)
            for rows in blocks
        ]
        return torch.cat(pixels)

    def sampled_with(self, steps: int | None = None, guidance: float | None = None) -> Self:
        """This model; only a flow has sampling steps and guidance, and with others gives another one.

        Raises
        ------
        UsageError
            Either is set.
        """
        if (steps, guidance) != (None, None):
            raise UsageError(f"Only a flow has sampling steps and guidance; this is a {self.kind}. Leave them out.")
        return self

    def with_weights(self, weights: Weights, training: Images) -> Self:
        """A copy with these weights, completed as at the end of a run on the pictures ``training``."""
        model = copy.copy(self)
        model._load(weights)
        model._complete(training)
        return model

    # Hooks that each method implements.

    @abstractmethod
    def _configure(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        """The network's layout and how to train it, for these pictures and this machine."""

    @abstractmethod
    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        """The networks of a layout, by name."""

    @abstractmethod
    def _task(self, modules: Modules, config: TrainingConfig) -> Task:
        """What the engine trains."""

    @abstractmethod
    def _noise_shape(self) -> tuple[int, ...]:
        """Shape of one picture's noise."""

    @abstractmethod
    def _decode(self, modules: Modules, latents: Tensor, labels: Tensor) -> Tensor:
        """Latents (B, D) to pictures in -1..1; labels (B,), or shares of the classes (B, classes + 1)."""

    @abstractmethod
    def _scores(self, modules: Modules, pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """Scores on held-out pictures (B, 3, S, S) in -1..1, by name."""

    @abstractmethod
    def _complete(self, training: Images) -> None:
        """Fit what is fitted once the networks are trained, such as a prior."""

    def _draw(self, modules: Modules, noise: Tensor, labels: Tensor) -> Tensor:
        """Noise to pictures in -1..1; the noise is the latents unless a method overrides this."""
        return self._decode(modules, noise, labels)

    def _latent_length(self) -> int:
        return int(np.prod(self._noise_shape()))

    # Shared by all methods.

    def _load(self, weights: Weights) -> None:
        """Build the networks and load these weights."""
        with torch.random.fork_rng():
            self.modules_ = self._build(self.layout_)
        for name, module in self.modules_.items():
            if name in weights:
                module.load_state_dict({key: t.contiguous() for key, t in weights[name].items()})
            _ready(module)

    def _restore(self, saved: Artefact) -> Self:
        """Take the state of the model that an artefact holds; an ArtefactError if its parts do not fit together."""
        check_synthesizer(saved)
        facts = saved.facts
        self.classes_, self.shares_ = tuple(facts["classes"]), list(facts["shares"])
        self.size_, self.layout_ = facts["size"], facts["layout"]
        self.settings_, self.scores_ = facts["settings"], facts["scores"]
        self.verdict_ = Verdict(**facts["verdict"]) if facts.get("verdict") else None
        self._record = {name: facts[name] for name in RECORD if name in facts}
        self.modules_ = self._restored_modules(saved)
        self.report_ = None
        self._model_files = read_model_files(saved.folder)
        self._folder_name = saved.folder.resolve().name
        return self

    def _restored_modules(self, saved: Artefact) -> dict[str, nn.Module]:
        """The networks in an artefact, with its weights."""
        weights: dict[str, dict[str, Tensor]] = {}
        for name, tensor in saved.weights.items():
            module, _, key = name.partition(".")
            weights.setdefault(module, {})[key] = tensor
        with torch.random.fork_rng(), built_from(saved):
            modules = self._build(self.layout_)
        for name in dict.fromkeys([*modules, *weights]):
            if name in weights or name not in self.later_modules:
                load_weights(modules.get(name, nn.Module()), weights.get(name, {}), saved, f"{name}.")
        return {name: _ready(module) for name, module in modules.items()}

    def _facts(self) -> dict[str, Any]:
        """The model's ``model.json``."""
        return {
            "kind": self.kind,
            "parameters": self.parameters(),
            "network": self.network,
            "classes": list(self.classes_),
            "shares": self.shares_,
            "size": self.size_,
            "geometry": GEOMETRY,
            "layout": self.layout_,
            "settings": self.settings_,
            "scores": self.scores_,
            "verdict": self.verdict_ and self.verdict_.json(),
            **self._record,
        }

    def _take_state(self, other: Self) -> Self:
        """Become another fitted model of the same parameters."""
        self.classes_, self.shares_, self.size_ = other.classes_, other.shares_, other.size_
        self.layout_, self.modules_, self.settings_ = other.layout_, other.modules_, other.settings_
        self.scores_, self.verdict_ = other.scores_, other.verdict_
        self.report_, self._model_files = other.report_, other._model_files
        self._record = other._record
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "_model_files"):
            raise NotFittedError(f"This {type(self).__name__} has not been fitted. Call fit, or load a saved one.")

    def _decoded(self, latents: Tensor, labels: Tensor) -> Tensor:
        return to_uint8(self._decode(self.modules_, latents, labels))

    def _run(
        self,
        run: seeding.BatchFunction,
        inputs: Tensor,
        labels: NDArray[np.int64],
        seeds: Sequence[int] | None = None,
        bar: Bar | None = None,
    ) -> Tensor:
        """Run over all rows in batches of one fixed size; rows without seeds take their own number."""
        if not len(inputs):
            raise DataError("There is no picture to work on.")
        device = device_of(self.modules_)
        chunk = seeding.chunk_size(self.size_, device)
        outputs: Tensor | None = None
        numbers = range(len(inputs)) if seeds is None else seeds
        for rows, batch in seeding.run_seeded(run, inputs, labels, numbers, chunk, device):
            if outputs is None:
                outputs = torch.empty(len(inputs), *batch.shape[1:], dtype=batch.dtype)
            outputs[rows] = batch
            if bar is not None:
                bar.advance(len(rows))
        assert outputs is not None
        return outputs

    def _images(
        self,
        pixels: Tensor,
        labels: NDArray[np.int64],
        paths: list[str],
        origins: str | NDArray[np.str_] = "synthetic",
        groups: Mapping[str, Any] | None = None,
    ) -> Images:
        arrays = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        class_labels = labels if self.classes_ else None
        source = from_arrays(arrays, class_labels, classes=self.classes_, groups=groups, origins=origins, paths=paths)
        source.generated_by = self.generated_facts
        return Images.of_source(source)


def device_of(modules: Modules) -> torch.device:
    """The device of a model's networks."""
    return next(next(iter(modules.values())).parameters()).device


def _ready(module: nn.Module) -> nn.Module:
    """A network on the device, to be run and not trained."""
    return module.to(machine.device()).eval().requires_grad_(False)
