"""A fitted synthesizer: what it holds, and how its networks are run so that a picture's bits are its own."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diptych.artefact import Artefact
from diptych.data.images import Images
from diptych.data.transforms import to_uint8
from diptych.engine import machine
from diptych.engine.task import Task
from diptych.errors import ArtefactError, DataError, NotFittedError, UsageError
from diptych.progress import Bar
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.sampling import seeding
from diptych.synthesis.training.config import TrainingConfig
from diptych.synthesis.training.model_files import ModelFiles, read_model_files

BLOCK = 1024  # pictures whose noise is held at a time
Modules = Mapping[str, nn.Module]
Label = str | int


class SynthesisModel(ABC):
    """A model that makes pictures: what it holds once fitted, and how its networks are run.

    Attributes
    ----------
    classes_
        Names of the classes that can be asked for; empty if the model is unconditional.
    shares_
        Of each class among the training pictures.
    size_
        Pixels a side.
    layout_
        What its networks are built from.
    modules_
        The networks, in evaluation mode, with averaged weights.
    settings_
        What told this run from others.
    scores_
        Losses and scores of the moment that the weights are of: numbers, or where an interval is known,
        ``{"value", "low", "high", "n"}``.
    """

    network: str
    seed: int
    kind: ClassVar[str]
    networks: ClassVar[tuple[str, ...]]
    needs_label: ClassVar[bool] = False  # whether a conditional model cannot decode without one
    classes_: tuple[str, ...]
    shares_: list[float]
    size_: int
    layout_: dict[str, Any]
    modules_: dict[str, nn.Module]
    settings_: dict[str, Any]
    scores_: dict[str, Any]
    _model_files: ModelFiles

    def __repr__(self) -> str:
        usual = inspect.signature(type(self)).parameters
        told = {k: v for k, v in self._parameters().items() if v != usual[k].default}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in told.items())})"

    @property
    def calls(self) -> int:
        """How often a network is run for one picture that is sampled."""
        return 1

    @property
    def fingerprint(self) -> str | None:
        """What tells its training pictures from others (``Images.fingerprint``); ``None`` where it was not kept."""
        self._fitted()
        return self._model_files.data.get("fingerprint")

    # What a method supplies.

    @abstractmethod
    def _choose(self, prepared: PreparedData, gpu: bool) -> TrainingConfig:
        """The network's layout and how to train it, for these pictures and this machine."""

    @abstractmethod
    def _build(self, layout: Mapping[str, Any]) -> dict[str, nn.Module]:
        """The networks of a layout, by name."""

    @abstractmethod
    def _task(self, modules: Modules, choices: TrainingConfig) -> Task:
        """What the engine trains."""

    @abstractmethod
    def _noise_shape(self) -> tuple[int, ...]:
        """Shape of one picture's noise."""

    @abstractmethod
    def _decode(self, modules: Modules, latents: Tensor, labels: Tensor) -> Tensor:
        """Latents (B, D) to pictures in -1..1; labels (B,), or shares of the classes (B, classes + 1)."""

    @abstractmethod
    def _scores(self, modules: Modules, pictures: Tensor, labels: Tensor) -> dict[str, float]:
        """Scores on held-out pictures, by name."""

    def _draw(self, modules: Modules, noise: Tensor, labels: Tensor) -> Tensor:
        """Noise to pictures in -1..1; the noise is the latents unless a method says otherwise."""
        return self._decode(modules, noise, labels)

    def _latent_length(self) -> int:
        return int(np.prod(self._noise_shape()))

    @abstractmethod
    def _complete(self, prepared: PreparedData) -> None:
        """Do what is left when the networks are trained."""

    # What they share.

    def _load(self, states: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Build the networks and give them these weights."""
        with torch.random.fork_rng():
            self.modules_ = self._build(self.layout_)
        for name, module in self.modules_.items():
            if name in states:
                module.load_state_dict({k: t.contiguous() for k, t in states[name].items()})
            module.to(machine.device()).eval().requires_grad_(False)

    def _adopt(self, saved: Artefact) -> Self:
        """Become the model that an artefact holds."""
        facts = saved.facts
        self.classes_, self.shares_ = tuple(facts["classes"]), list(facts["shares"])
        self.size_, self.layout_ = facts["size"], facts["layout"]
        self.settings_, self.scores_ = facts["settings"], facts["scores"]
        states: dict[str, dict[str, Tensor]] = {}
        for name, tensor in saved.weights.items():
            module, _, key = name.partition(".")
            states.setdefault(module, {})[key] = tensor
        try:
            self._load(states)
        except (KeyError, RuntimeError) as error:  # of the layout, of the weights
            raise ArtefactError(
                f"{saved.folder} holds a {self.kind} of another version of Diptych, whose networks were built "
                "otherwise. Fit it again, or use that version."
            ) from error
        self._model_files = read_model_files(saved.folder)
        return self

    def _facts(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "parameters": self._parameters(),
            "network": self.network,
            "classes": list(self.classes_),
            "shares": self.shares_,
            "size": self.size_,
            "geometry": GEOMETRY,
            "layout": self.layout_,
            "settings": self.settings_,
            "scores": self.scores_,
        }

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def _fitted(self) -> None:
        if not hasattr(self, "_papers"):
            raise NotFittedError(f"This {type(self).__name__} has not been fitted. Call fit, or load a saved one.")

    def _number(self, label: Label) -> int:
        """A class by name or number as its number; raises a :class:`UsageError` that names the classes."""
        known = ", ".join(self.classes_[:20])
        if not self.classes_:
            raise UsageError("This model was fitted without labels, so no label can be asked for. Leave it out.")
        if isinstance(label, str) and label in self.classes_:
            return self.classes_.index(label)
        if not isinstance(label, str) and 0 <= int(label) < len(self.classes_):
            return int(label)
        raise UsageError(f"There is no class {label!r} here. The classes are: {known}.")

    def _labels(self, seeds: Sequence[int], label: Label | None) -> NDArray[np.int64]:
        if label is not None:
            return np.full(len(seeds), self._number(label), np.int64)
        if not self.classes_:
            return np.full(len(seeds), -1, np.int64)
        return seeding.seeded_labels(seeds, self.shares_)

    def _pictures(self, seeds: Sequence[int], labels: NDArray[np.int64], bar: Bar | None = None) -> Tensor:
        """(N, 3, S, S) uint8, a picture for each seed and label."""

        def draw(noise: Tensor, asked: Tensor) -> Tensor:
            return to_uint8(self._draw(self.modules_, noise, asked))

        blocks = [slice(start, start + BLOCK) for start in range(0, len(seeds), BLOCK)]
        made = [
            self._run(draw, seeding.seeded_noise(seeds[rows], self._noise_shape()), labels[rows], seeds[rows], bar)
            for rows in blocks
        ]
        return torch.cat(made)

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
        device = next(next(iter(self.modules_.values())).parameters()).device
        chunk = seeding.chunk_size(self.size_, device)
        outputs: Tensor | None = None
        numbers = range(len(inputs)) if seeds is None else seeds
        for rows, made in seeding.run_seeded(run, inputs, labels, numbers, chunk, device):
            if outputs is None:
                outputs = torch.empty(len(inputs), *made.shape[1:], dtype=made.dtype)
            outputs[rows] = made
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
        told = labels if self.classes_ else None
        return Images.from_arrays(arrays, told, classes=self.classes_, groups=groups, origins=origins, paths=paths)
