"""Consistency tuning of a flow: its training task, the method ``tune``, and sampling in any number of steps."""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from diptych import tensor_files
from diptych.data.images import Images, ImagesLike
from diptych.engine import machine
from diptych.engine.optim import Optimizer
from diptych.engine.run_settings import budget_start, check_length
from diptych.errors import UsageError
from diptych.settings import number, numbers
from diptych.synthesis import datasets
from diptych.synthesis.consistency import MAX_CALLS, consistency_function, consistency_loss
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.flow_matching import guided_velocity, noise_like, predicted_velocity, training_times
from diptych.synthesis.networks.unet import UNet
from diptych.synthesis.protocols import Label
from diptych.synthesis.settings import MAX_GUIDANCE
from diptych.synthesis.synthesizer import Synthesizer
from diptych.synthesis.training import optimizers
from diptych.synthesis.training.config import TrainingConfig, training_length
from diptych.synthesis.training.job import TrainingJob

# Of the distance between the two points, by the end of the run. On digits, 25 s after a fit of 25 s, 4 beat 7 (labels
# recognized: 95 % against 93 % in one call, 98 % against 93 % in two); a GPU shows many times as many pictures.
MAX_HALVINGS, MAX_HALVINGS_ON_GPU = 4.0, 7.0
TIME_SPREAD = 1.6  # times are drawn more widely than for the flow: one call begins at the noisiest point of all
LEARNING_RATE_SHARE = 0.25  # of the rate that the flow was fitted with


class ConsistencyTask:
    """The training task: one player, the tuned network; the flow that guides it stays as it is."""

    def __init__(self, modules: Mapping[str, nn.Module], config: TrainingConfig) -> None:
        self.network, self.tuned, self.lr = modules["network"], modules["tuned"], config.lr
        self.guidance = config.method_settings["guidance"]
        self.max_halvings = config.method_settings["halvings"]
        self.halvings = 1.0

    def modules(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"network": self.network, "tuned": self.tuned}

    def players(self) -> Mapping[str, list[nn.Parameter]]:
        """The tuned one."""
        return {"tuned": list(self.tuned.parameters())}

    def optimizers(self) -> Mapping[str, list[Optimizer]]:
        """Its optimisers. By AdamW alone one of two runs of five minutes on CIFAR-10 diverged at its end."""
        assert isinstance(self.tuned, UNet)
        return {"tuned": optimizers.muon_and_adamw([self.tuned], self.tuned.boundary_weights(), self.lr)}

    def losses(self, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
        """One loss; no labels are dropped, since sampling in few calls always uses them."""
        times = training_times(TIME_SPREAD * torch.randn(len(images), device=images.device), images.shape[-1])
        field, noise = guided_velocity(predicted_velocity(self.network), labels, self.guidance), noise_like(images)
        function = consistency_function(self.tuned)
        yield "tuned", consistency_loss(function, field, noise, images, times, labels, self.halvings)

    def compilable(self) -> list[nn.Module]:
        """None: both are called without gradients too."""
        return []

    def before_step(self, progress: float) -> None:
        """Move the two points closer."""
        self.halvings = 1 + (self.max_halvings - 1) * progress


class ConsistencyTunable(Synthesizer):
    """A synthesizer whose ``network`` is called step by step, until a ``tuned`` one beside it needs few calls."""

    guidance: float
    steps: int

    def with_steps(self, steps: int) -> Self:
        """The same model with another number of sampling steps."""
        other = copy.copy(self)
        other.steps = steps
        other.check_settings()
        return other

    @numbers(guidance=number(0, MAX_GUIDANCE))
    def sampled_with(self, steps: int | None = None, guidance: float | None = None) -> Self:
        """The same model with other sampling steps, or another guidance: higher follows the class more closely.

        Raises
        ------
        UsageError
            One is out of range, or the flow is tuned, which fixes its guidance.
        """
        other = self if steps is None else self.with_steps(steps)
        if guidance is None:
            return other
        if "tuned" in self.layout_:
            raise UsageError("The guidance of a tuned flow was fixed when it was tuned. Leave it out.")
        other = copy.copy(other)
        other.guidance = guidance
        other.check_settings()
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
        """Generate ``n`` pictures, as every synthesizer does; in ``steps`` steps instead of the model's own."""
        if steps is not None:
            return self.with_steps(steps).sample(n, label=label, seed=seed, into=into)
        return super().sample(n, label=label, seed=seed, into=into)

    def tune(
        self,
        images: ImagesLike,
        *,
        minutes: float | None = None,
        epochs: float | None = None,
        validate: ImagesLike | None = None,
        into: str | Path | None = None,
    ) -> Self:
        """Learn to generate pictures in one or two calls of the network (see :mod:`diptych.synthesis.consistency`).

        The flow stays as it is, for encoding and for more steps, beside the tuned network; ``steps`` becomes 2.

        Parameters
        ----------
        images
            Those that it was fitted on, or others of classes that it knows.
        minutes, epochs
            The tuning's length, as in :meth:`fit`.
        validate, into
            As in :meth:`fit`; another folder than the flow's own. A tuning that was begun there is continued.

        Raises
        ------
        DataError
            The pictures cannot be learned from, or have classes that the model does not know.
        UsageError
            The model is tuned already, or the folder holds another run.
        """
        started = budget_start()
        self._check_tunable(minutes, epochs)
        images, validate = Images.of(images), None if validate is None else Images.of(validate)
        prepared = datasets.prepare(images, validate, self.size_, self.seed).for_classes(self.classes_)
        job = self._make_tuning_job(prepared, minutes, epochs, datasets.as_folder(into), started)
        tuned = self.with_steps(MAX_CALLS)  # a copy: a tuning that fails leaves this model as it is
        if job.is_finished():
            return self._take_state(tuned._load_finished(job))
        tuned._train_and_save(job)
        return self._take_state(tuned)

    def _check_tunable(self, minutes: float | None, epochs: float | None) -> None:
        check_length(minutes, epochs)
        self._check_fitted()
        if self.epsilon is not None:
            raise UsageError(
                "A flow with epsilon is not tuned: tuning trains on pictures without noise, which would break its "
                "promise if they are the same. Sample it in more steps, or tune a flow that was fitted without epsilon."
            )
        if "tuned" in self.modules_:
            raise UsageError("This flow is tuned already. Tune the flow that it was tuned from, for longer.")

    def _make_tuning_job(
        self,
        prepared: PreparedData,
        minutes: float | None,
        epochs: float | None,
        folder: Path | None,
        started: float,
    ) -> TrainingJob:
        config = self._configure_tuning()
        length = training_length(minutes, epochs, len(prepared.training), prepared.size)
        # Flows with the same settings may have different weights, on a GPU.
        weights = hashlib.sha256(tensor_files.pack(self.modules_["network"].state_dict())).hexdigest()[:16]
        identity = {"minutes": minutes, "epochs": epochs, "weights": weights, **prepared.identity()}
        settings = {**self.settings_, "tuned": {**identity, **config.method_settings}}
        return TrainingJob(prepared, config, length, settings, self.seed, folder, started)

    def _configure_tuning(self) -> TrainingConfig:
        # The same network must predict the same picture at two points of one trajectory: no dropout.
        layout = {**self.layout_, "dropout": 0.0, "tuned": True, "steps": self.steps}
        settings = {
            **optimizers.FACTS,
            "halvings": MAX_HALVINGS_ON_GPU if machine.device().type == "cuda" else MAX_HALVINGS,
            "guidance": self.guidance if self.classes_ else 1.0,
        }
        lr = LEARNING_RATE_SHARE * self.settings_["learning_rate"]
        return TrainingConfig(layout, batch=self.settings_["batch"], lr=lr, clip=1.0, method_settings=settings)

    def _untuned(self) -> Self | None:
        if "tuned" not in self.modules_:
            return None
        untuned = copy.copy(self)
        untuned.modules_ = {**self.modules_, "tuned": self.modules_["network"]}
        return untuned

    def _take_state(self, other: Self) -> Self:
        self.steps = other.steps
        return super()._take_state(other)

    @property
    def _samples_in_few_calls(self) -> bool:
        return "tuned" in self.modules_ and self.steps <= MAX_CALLS

    @property
    def _ode_steps(self) -> int:
        """Steps of the equation, either way; a tuned model has those of its flow."""
        return int(self.layout_["steps"]) if self._samples_in_few_calls else self.steps
