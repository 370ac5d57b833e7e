"""What a flow that can be tuned to few calls does besides: tune, and sample in as many steps as are asked for."""

import copy
import hashlib
import logging
import time
from pathlib import Path
from typing import Any, Self

from diptych import artefact
from diptych.data.images import Images
from diptych.engine import checkpoint, machine
from diptych.errors import UsageError
from diptych.synthesis import datasets
from diptych.synthesis.consistency import MOST_CALLS, MOST_HALVINGS, MOST_HALVINGS_ON_GPU, TUNING_RATE, TuningLength
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.model import Label
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training import optimizers
from diptych.synthesis.training.config import TrainingConfig, run_length

log = logging.getLogger("diptych")


class ConsistencyTunable(Synthesizer):
    """A synthesizer whose ``network`` is called step by step, until a ``tuned`` one beside it needs few calls."""

    guidance: float
    steps: int
    _tuning: TuningLength | None = None  # while it is being tuned

    def with_steps(self, steps: int) -> Self:
        """The same model with another number of sampling steps."""
        other = copy.copy(self)
        other.steps = steps
        other._check()
        return other

    def sample(
        self,
        n: int,
        *,
        label: Label | None = None,
        seed: int = 0,
        into: str | Path | None = None,
        steps: int | None = None,
    ) -> Images:
        """Make ``n`` pictures, as every synthesizer does; in ``steps`` steps instead of the model's own."""
        model = self if steps is None else self.with_steps(steps)
        return super(ConsistencyTunable, model).sample(n, label=label, seed=seed, into=into)

    def tune(
        self,
        images: Images,
        *,
        minutes: float | None = None,
        epochs: float | None = None,
        validate: Images | None = None,
        into: str | Path | None = None,
    ) -> Self:
        """Learn to make pictures in one or two calls of the network (see :mod:`diptych.synthesis.consistency`).

        The flow stays as it is, for encoding and for more steps, beside the tuned network; ``steps`` becomes 2.

        Parameters
        ----------
        images
            Those that it was fitted on, or others with classes that it knows.
        minutes, epochs
            The tuning's length, as in :meth:`fit`.
        validate, into
            As in :meth:`fit`; another folder than the flow's own. A tuning that was begun there is continued.

        Raises
        ------
        DataError
            The pictures cannot be learnt from, or have classes that the model does not know.
        UsageError
            The model is tuned already, or the folder holds another run.
        """
        started = time.monotonic()
        self._fitted()
        if "tuned" in self.modules_:
            raise UsageError("This flow is tuned already. Tune the one that it came from, for longer.")
        tuned = copy.copy(self)
        tuned._tuning, tuned.steps = TuningLength(minutes, epochs).checked(), MOST_CALLS
        folder = datasets.as_folder(into)
        prepared = datasets.prepare(images, validate, self.size_, self.seed).for_classes(self.classes_)
        choices = self._choices_of_tuning()
        settings = {**self.settings_, "tuned": {**self._identity_of_tuning(tuned._tuning, prepared), **choices.more}}
        if folder is not None and checkpoint.is_finished(folder, settings):
            log.info("%s holds this model already, tuned", folder)
            tuned._adopt(artefact.read(folder, self.kind))
        else:
            tuned._train(prepared, choices, settings, folder, started)
        self.__dict__.update(tuned.__dict__)
        self._tuning = None
        return self

    def _choices_of_tuning(self) -> TrainingConfig:
        # Two points of one way are to be told the same picture by the same network: nothing is left out at random.
        layout = {**self.layout_, "dropout": 0.0, "tuned": True, "steps": self.steps}
        rate = TUNING_RATE * self.settings_["learning_rate"]
        halvings = MOST_HALVINGS_ON_GPU if machine.device().type == "cuda" else MOST_HALVINGS
        more = {**optimizers.FACTS, "halvings": halvings, "guidance": self.guidance if self.classes_ else 1.0}
        return TrainingConfig(layout, batch=self.settings_["batch"], lr=rate, clip=1.0, more=more)

    def _identity_of_tuning(self, asked: TuningLength, prepared: PreparedData) -> dict[str, Any]:
        """What tells this tuning from others of flows with the same settings."""
        weights = hashlib.sha256(artefact.pack(self.modules_["network"].state_dict())).hexdigest()[:16]
        held = prepared.held.fingerprint() if prepared.held is not None else ""
        data = {"data": prepared.train.fingerprint(), "validation": held}
        return {"minutes": asked.minutes, "epochs": asked.epochs, "weights": weights, **data}

    def _length(self, prepared: PreparedData) -> dict[str, Any]:
        if self._tuning is None:
            return super()._length(prepared)
        return run_length(self._tuning.minutes, self._tuning.epochs, len(prepared.train), prepared.size)

    @property
    def _in_few_calls(self) -> bool:
        return "tuned" in self.modules_ and self.steps <= MOST_CALLS

    @property
    def _ode_steps(self) -> int:
        """Steps of the equation, either way; a tuned model keeps those of its flow."""
        return int(self.layout_["steps"]) if self._in_few_calls else self.steps
