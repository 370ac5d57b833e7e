"""What the three synthesizers share: fit, sample, encode, decode, save."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from diptych import artefact
from diptych.artefact import Artefact
from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import checkpoint, machine
from diptych.engine.loader import check_seed
from diptych.engine.loop import Run
from diptych.errors import UsageError
from diptych.progress import Bar
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.editing.editor import Editor
from diptych.synthesis.model import Label
from diptych.synthesis.sampling import seeding, writer
from diptych.synthesis.training.config import TrainingConfig, make_recipe, run_length
from diptych.synthesis.training.model_files import make_model_files
from diptych.synthesis.training.monitor import Monitor, RunResult

log = logging.getLogger("diptych")
REHEARSED_AT = 0.4  # of the run: late enough for the weights' average, early enough to plan by


class Synthesizer(Editor):
    """Makes pictures like those it was fitted on; see :class:`GAN`, :class:`VAE` and :class:`Flow`."""

    def __init__(
        self,
        network: str,
        *,
        size: int | None,
        minutes: float | None,
        epochs: float | None,
        batch: int | None,
        lr: float | None,
        seed: int,
    ) -> None:
        self.network = network
        self.size = size
        self.minutes = minutes
        self.epochs = epochs
        self.batch = batch
        self.lr = lr
        self.seed = seed

    def fit(self, images: Images, *, validate: Images | None = None, into: str | Path | None = None) -> Self:
        """Learn to make pictures like these.

        Parameters
        ----------
        images
            What to learn from; conditional on class if every picture has one label and there are two classes.
            Where a group column "split" says "train", only those. What cannot be read is left out and named.
        validate
            Pictures for the losses on the way; None: a twentieth of ``images``, at most 256, is kept back.
        into
            Folder for the artefact, checkpoints and sample grids. A run that was begun there is continued, and
            a finished one is loaded.

        Raises
        ------
        DataError
            The pictures cannot be learnt from.
        UsageError
            A parameter cannot be, or the folder holds another run.
        """
        started = time.monotonic()
        self._check()
        folder = datasets.as_folder(into)
        prepared = datasets.prepare(images, validate, self.size, self.seed)
        choices = self._choose(prepared, machine.device().type == "cuda")
        settings = self._identity(prepared, choices)
        if folder is not None and checkpoint.is_finished(folder, settings):
            log.info("%s holds this model already, finished", folder)
            return self._adopt(artefact.read(folder, self.kind))
        self._train(prepared, choices, settings, folder, started)
        return self

    def sample(self, n: int, *, label: Label | None = None, seed: int = 0, into: str | Path | None = None) -> Images:
        """Make ``n`` pictures; picture i depends on ``seed + i`` and its label only, to the bit.

        Parameters
        ----------
        label
            A class by name, or by its number in ``classes_``. None: drawn for each picture, by its seed, as
            often as the class was among the training pictures.
        into
            A folder that they are written to as they are made, in bounded memory for any number of them; or an
            .npz or .parquet file. The same call continues one that was killed; in a folder, a larger ``n`` adds to it.
            None: they are kept in memory.

        Returns
        -------
        Images
            Of origin "synthetic", labelled if the model is conditional.

        Raises
        ------
        UsageError
            There is no such class, or the folder holds something else.
        """
        self._check_request(n, seed)
        if into is not None:
            return writer.write_samples(self, n, label, seed, Path(into))
        with Bar("Sampling", n) as bar:
            return self._made(range(seed, seed + n), label, bar)

    def sample_batches(self, n: int, *, label: Label | None = None, seed: int = 0) -> Iterator[Images]:
        """The pictures of :meth:`sample` some hundreds at a time, in order: constant memory for any number of them."""
        self._check_request(n, seed)
        with Bar("Sampling", n) as bar:
            for start in range(seed, seed + n, writer.BLOCK):
                yield self._made(range(start, min(start + writer.BLOCK, seed + n)), label, bar)

    def save(self, folder: str | Path) -> Path:
        """Write the model as an artefact; returns its folder. A :class:`UsageError` if that holds anything else."""
        self._fitted()
        weights = {f"{name}.{k}": t for name, m in self.modules_.items() for k, t in m.state_dict().items()}
        papers = self._model_files
        return artefact.write(folder, self._facts(), weights, data=papers.data, card=papers.card, report=papers.page)

    @classmethod
    def from_artefact(cls, saved: Artefact) -> Self:
        """The model that an artefact holds."""
        return cls(**saved.facts["parameters"])._adopt(saved)

    def _train(
        self,
        prepared: PreparedData,
        choices: TrainingConfig,
        settings: dict[str, Any],
        folder: Path | None,
        started: float,
    ) -> None:
        run_length = self._length(prepared)
        few = datasets.random_subset(prepared.train, 2000, self.seed)
        mirrored = datasets.mirror_symmetric(few.pixels(prepared.size, GEOMETRY), np.asarray(few.labels))
        facts = {**choices.facts(), **run_length, "mirrored": mirrored}
        log.info("Chosen: %s", ", ".join(f"{name} {value}" for name, value in facts.items()))
        self._describe(prepared, choices, settings)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            modules = self._build(choices.layout)
        run = Run(
            self._task(modules, choices),
            prepared.train,
            size=prepared.size,
            geometry=GEOMETRY,
            recipe=make_recipe(choices, run_length, mirrored, self.seed),
            folder=folder,
            settings=settings,
            started=started,
        )
        self.modules_ = dict(run.modules)
        watch = Monitor(self, prepared, run, folder)
        for tick in run:
            tick.scores.update(self._held_out_scores(prepared))
            if not tick.done and run_length.get("minutes") and not run.rehearsed and tick.progress > REHEARSED_AT:
                with run.rehearsal(watch.rehearse(tick)):
                    self._finish(watch, watch.ending(tick), facts)
                self.modules_ = dict(run.modules)
            else:
                watch.at(tick)
        facts |= {"machine": str(run.machine), **watch.facts()}
        ending = watch.ending(tick)
        for note in ending.notes:
            log.warning("%s", note)
        self._finish(watch, ending, facts)
        if folder is not None and run.leader:
            self.save(folder)
            checkpoint.remove(folder)

    def _finish(self, watch: Monitor, ending: RunResult, facts: dict[str, Any]) -> None:
        """All that follows the training but writing it down."""
        # The networks are built anew, so that they compute in the same memory layout as those of a loaded model.
        self._load(ending.weights)
        self._complete(watch.prepared)
        self.scores_ = ending.scores
        grid = watch.grid(ending.seen_pictures)
        self._model_files = make_model_files(
            self.kind, watch.prepared, facts, ending, watch.run.history.records, grid, watch.frames.shown()
        )

    def _length(self, prepared: PreparedData) -> dict[str, Any]:
        """The run's length, as a recipe takes it."""
        return run_length(self.minutes, self.epochs, len(prepared.train), prepared.size)

    def _describe(self, prepared: PreparedData, choices: TrainingConfig, settings: dict[str, Any]) -> None:
        self.classes_, self.shares_, self.size_ = prepared.classes, prepared.shares, prepared.size
        self.layout_, self.settings_ = dict(choices.layout), settings
        self.scores_ = {}

    def _identity(self, prepared: PreparedData, choices: TrainingConfig) -> dict[str, Any]:
        """What tells this run from others in the same folder; JSON-able."""
        held = prepared.held.fingerprint() if prepared.held is not None else ""
        data = {"data": prepared.train.fingerprint(), "validation": held, "size": prepared.size}
        return {"kind": self.kind, **self._parameters(), **choices.facts(), **data}

    def _check(self) -> None:
        """Refuse parameters that cannot be."""
        if self.network not in self.networks:
            raise UsageError(
                f"The network of a {self.kind} is one of {', '.join(self.networks)}, not {self.network!r}."
            )
        if self.minutes is not None and self.epochs is not None:
            raise UsageError("Set either minutes or epochs, not both.")
        for name in ("minutes", "epochs", "batch", "lr"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be above 0, not {value}.")
        check_seed(self.seed)
        if self.size is not None:
            datasets.check_size(self.size)

    def _made(self, seeds: range, label: Label | None, bar: Bar) -> Images:
        labels = self._labels(seeds, label)
        return self._images(self._pictures(seeds, labels, bar), labels, [f"{self.kind}#{s}" for s in seeds])

    def _check_request(self, n: int, seed: int) -> None:
        self._fitted()
        if n < 1 or not 0 <= seed < seeding.LARGEST_SEED:
            raise UsageError(
                f"The number of pictures is at least 1 and the seed from 0 to 2⁶² − 1, not {n} and {seed}."
            )

    def _held_out_scores(self, prepared: PreparedData) -> dict[str, float]:
        if prepared.held is None:
            return {}
        device = next(next(iter(self.modules_.values())).parameters()).device
        held = datasets.random_subset(prepared.held, datasets.MOST_HELD, self.seed)
        pictures = to_float(held.pixels(prepared.size, GEOMETRY)).to(device)
        labels = torch.from_numpy(datasets.match_labels(held, self.classes_)).to(device)
        with torch.no_grad():
            return self._scores(self.modules_, pictures, labels)
