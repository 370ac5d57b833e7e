"""The API that the three synthesizers share: fit, sample, encode, decode, save."""

import copy
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch

from diptych import artefact
from diptych.artefact import Artefact
from diptych.data.images import Images, ImagesLike
from diptych.data.training_digests import stored_digests
from diptych.data.transforms import to_float
from diptych.engine import checkpoint, machine
from diptych.engine.distributed import is_leader
from diptych.engine.privacy.budget import refuse_further_training
from diptych.engine.run_settings import MINUTES, budget_start
from diptych.engine.stopping import draft
from diptych.engine.warm_start.extension import CAPTION, Extension, check_extendable, conclude, extensions_table
from diptych.engine.warm_start.weights import weights_digest
from diptych.errors import Interrupted, UsageError
from diptych.progress import Bar
from diptych.settings import numbers
from diptych.stored_networks import with_parameters
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.editing.editor import Editor
from diptych.synthesis.model import Modules, device_of
from diptych.synthesis.protocols import Label
from diptych.synthesis.sampling import seeding, writer
from diptych.synthesis.training.comparison import Measure, compare, held_out_measure
from diptych.synthesis.training.config import TrainingConfig, length_and_privacy
from diptych.synthesis.training.job import EndedRun, TrainingJob
from diptych.synthesis.training.model_files import make_model_files, make_report
from diptych.synthesis.training.monitor import Monitor
from diptych.synthesis.training.warm_start import WarmStart

log = logging.getLogger("diptych")


class Synthesizer(Editor):
    """Generates pictures like those it was fitted on; see :class:`GAN`, :class:`VAE` and :class:`Flow`."""

    @numbers(more=MINUTES)
    def fit(
        self,
        images: ImagesLike,
        *,
        validate: ImagesLike | None = None,
        into: str | Path | None = None,
        more: float | None = None,
        start: "str | Path | Self | None" = None,
    ) -> Self:
        """Learn to generate pictures like these.

        Parameters
        ----------
        images
            The training pictures, in any form that :meth:`Images.of` takes, as wherever pictures are; conditional on
            class if every picture has one label and there are two classes.
            Where a group column "split" says "train", only those. Unreadable pictures are left out and named.
        validate
            Pictures for the losses on the way; None: a twentieth of ``images``, at most 256, is held out.
        into
            Folder for the artefact, checkpoints and sample grids. A run that was begun there is continued, and
            a finished one is loaded.
        more
            Minutes that the finished model in ``into`` (None: this one) is trained further; all else as in its fit. The
            result is the better one on the held-out pictures, which stay the same.
        start
            A model of the same kind, or its folder, whose weights this one starts from, the embeddings of classes that
            both have included; network and size follow it. None of its training pictures is held out.

        Raises
        ------
        DataError
            The pictures cannot be learned from.
        UsageError
            A parameter is out of range, or the folder holds another run.
        Interrupted
            A signal stopped the run. The model that it has so far is in ``into``, and the same call continues it.
        """
        started = budget_start()
        self.check_settings()
        images, validate = Images.of(images), None if validate is None else Images.of(validate)
        folder = datasets.as_folder(into)
        if self.epsilon is not None:
            refuse_further_training(more=more is not None, start=start is not None)
        if more is not None:
            check_extendable(folder, fitted=hasattr(self, "modules_"))
        checkpoint.check_length(folder, self.parameters())
        source = None if start is None else self._start_model(start)
        job = self._make_job(self._prepare(images, validate, source), folder, started, source)
        if more is not None:
            return self._extend(job, more)
        if job.is_finished():
            return self._load_finished(job)
        self._train_and_save(job)
        return self

    @numbers(n=seeding.COUNT, seed=seeding.SEED)
    def sample(self, n: int, *, label: Label | None = None, seed: int = 0, into: str | Path | None = None) -> Images:
        """Generate ``n`` pictures; picture i depends on ``seed + i`` and its label only, to the bit.

        Parameters
        ----------
        label
            A class by name, or by its number in ``classes_``. None: drawn for each picture, by its seed, as
            often as the class was among the training pictures.
        into
            A folder that they are written to as they are generated, in bounded memory for any number of them; or an
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
        self._check_fitted()
        if into is not None:
            return writer.write_samples(self, n, label, seed, Path(into))
        with Bar("Sampling", n) as bar:
            return self._sample_images(range(seed, seed + n), label, bar)

    @numbers(n=seeding.COUNT, seed=seeding.SEED)
    def sample_batches(self, n: int, *, label: Label | None = None, seed: int = 0) -> Iterator[Images]:
        """The pictures of :meth:`sample` some hundreds at a time, in order: constant memory for any number of them."""
        self._check_fitted()
        with Bar("Sampling", n) as bar:
            for start in range(seed, seed + n, writer.BLOCK):
                yield self._sample_images(range(start, min(start + writer.BLOCK, seed + n)), label, bar)

    def save(self, folder: str | Path) -> Path:
        """Write the model as an artefact; returns its folder. A :class:`UsageError` if that holds anything else."""
        self._check_fitted()
        files, self._folder_name = self._model_files, Path(folder).resolve().name
        return artefact.write(
            folder, self._facts(), self.weights(), data=files.data, card=files.card, report=files.page
        )

    @classmethod
    def from_artefact(cls, saved: Artefact) -> Self:
        """The model that an artefact holds."""
        return with_parameters(cls, saved)._restore(saved)

    def _prepare(self, images: Images, validate: Images | None, source: Self | None) -> PreparedData:
        """The pictures of the run; from another model's start at its size, and with none of its pictures held out."""
        if source is None:
            prepared = datasets.prepare(images, validate, self.size, self.seed)
            return replace(prepared, private=self.epsilon is not None)
        trained = stored_digests(source._model_files.data)
        prepared = datasets.prepare(images, validate, self.size or source.size_, self.seed, trained)
        source._as_start().check_conditioning(prepared.classes)
        return prepared

    def _make_job(
        self, prepared: PreparedData, folder: Path | None, started: float, source: Self | None
    ) -> TrainingJob:
        """Choose what the parameters leave open."""
        config = self._configure(prepared, machine.device().type == "cuda")
        warm_start, start = None, {}
        if source is not None:
            warm_start, start = source._as_start(), {"start": weights_digest(source.weights())}
            config = replace(config, layout=warm_start.layout_for(config.layout, self.parameters().get("latent")))
        length, privacy = length_and_privacy(self.parameters(), len(prepared.training), prepared.size, config.batch)
        settings = {**self._run_settings(prepared, config), **start}
        return TrainingJob(prepared, config, length, settings, self.seed, folder, started, warm_start, None, privacy)

    def _as_start(self) -> WarmStart:
        weights = {name: module.state_dict() for name, module in self.modules_.items()}
        return WarmStart(weights, self.classes_, self.layout_)

    def _start_model(self, start: "str | Path | Self") -> Self:
        """The model to start from, whose network must be this one's."""
        source = self.from_artefact(artefact.read(start, self.kind)) if isinstance(start, str | Path) else start
        if not isinstance(source, type(self)):
            raise UsageError(
                f"A {self.kind} starts from the folder of another one, or from a loaded one, not {start!r}."
            )
        source._check_fitted()
        if self.network not in (source.network, self.automatic_network):
            raise UsageError(
                f"The model to start from has the network {source.network}, not {self.network}. Set that network."
            )
        return source

    def _extend(self, job: TrainingJob, minutes: float) -> Self:
        """Train further, or continue to; see :mod:`diptych.engine.warm_start.extension`."""
        folder, facts = job.folder, None if job.folder else self._facts()
        extension = Extension.begin(folder, job.settings, facts, minutes)
        if folder is not None:
            self._restore(artefact.read(folder, self.kind))
        if not extension.is_included():
            self._train_further(job.extended(extension, self._as_start()), extension)
            if folder is not None and is_leader():
                self.save(folder)
        if folder is not None and is_leader():
            conclude(folder)
        return self

    def _train_further(self, job: TrainingJob, extension: Extension) -> None:
        """Train a copy, and become it if it is better."""
        began = time.monotonic()
        before, extended = self._held_out_measure(job.prepared), copy.copy(self)
        ended = extended._train(job, extra_seconds=time.monotonic() - began)
        extended._finish(ended)
        comparison = compare(before, extended._held_out_measure(job.prepared))
        if comparison is not None:  # all processes of a run must agree
            agreed = ended.monitor.run.group.broadcast([comparison.better])[0]
            comparison = replace(comparison, better=bool(agreed))
        record = extension.record(ended.result.seen_pictures, ended.last.seconds, comparison)
        settings = self.settings_
        if comparison is None or comparison.better:
            self._take_state(extended)
            self.settings_ = settings
        records = [*extension.records, record]
        self._record = {**self._record, "extensions": records}
        self._model_files = self._model_files.with_extensions(records)
        if self.report_ is not None:
            self.report_.tables[CAPTION] = extensions_table(records)

    def _held_out_measure(self, prepared: PreparedData) -> Measure | None:
        return held_out_measure(self, prepared, self._held_out_scores(self.modules_, prepared))

    def _run_settings(self, prepared: PreparedData, config: TrainingConfig) -> dict[str, Any]:
        """The run's identity, which distinguishes it from others in the same folder; JSON-able."""
        return {
            "kind": self.kind,
            **self.parameters(),
            **config.facts(),
            **prepared.identity(),
            "size": prepared.size,
        }

    def _load_finished(self, job: TrainingJob) -> Self:
        """Load the model that the job's folder holds already."""
        assert job.folder is not None
        log.info("%s already holds this model, finished", job.folder)
        return self._restore(artefact.read(job.folder, self.kind))

    def _train(self, job: TrainingJob, extra_seconds: float = 0.0) -> EndedRun:
        """Train, or continue to train, with held-out scores and the monitor's evaluations on the way.

        ``extra_seconds`` is what the caller will do once the model is finished.
        """
        self._describe(job)
        task = self._task(self._initial_networks(job), job.config)
        weights = sum(p.numel() for parameters in task.players().values() for p in parameters)
        log.info("%s", job.sentence(weights))
        if job.warm_start is not None:
            job.warm_start.load_into(task.modules(), self.classes_, self.size_)
        run = job.start(task)
        monitor = Monitor(self, job.prepared, run, job.grids(run))
        try:
            for tick in run:
                tick.scores.update(self._held_out_scores(run.modules, job.prepared))
                ended = EndedRun(job, monitor, tick)
                if job.is_rehearsal_due(run, tick):
                    ended.rehearse(copy.copy(self)._finish, extra_seconds)
                else:
                    monitor.evaluate_if_due(tick)
        except Interrupted as stop:
            ended = EndedRun(job, monitor, run.tick()).as_draft(stop)
            ended.last.scores.update(self._held_out_scores(run.modules, job.prepared))
        return ended

    def _train_and_save(self, job: TrainingJob) -> None:
        """Train, or continue to train, and save the model; of a run that is stopped before its end, the draft."""
        ended = self._train(job)
        try:
            self._finish(ended)
        except (KeyboardInterrupt, Interrupted) as stop:
            if ended.stopped:
                raise
            ended = ended.as_draft(stop)
            self._finish(ended)
        self._save_ended(ended)

    def _describe(self, job: TrainingJob) -> None:
        """Take from the job what is fixed before training."""
        self.classes_, self.shares_, self.size_ = job.prepared.classes, job.prepared.shares, job.prepared.size
        self.layout_, self.settings_, self.scores_ = dict(job.config.layout), job.settings, {}

    def _initial_networks(self, job: TrainingJob) -> Modules:
        """The networks at their start, the same for the same seed whatever was drawn before."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return self._build(job.config.layout)

    def _held_out_scores(self, modules: Modules, prepared: PreparedData) -> dict[str, float]:
        if prepared.held_out is None:
            return {}
        device = device_of(modules)
        held_out = datasets.random_subset(prepared.held_out, datasets.MAX_HELD_OUT, self.seed)
        pictures = to_float(held_out.pixels(prepared.size, GEOMETRY)).to(device)
        labels = torch.from_numpy(datasets.match_labels(held_out, self.classes_)).to(device)
        with torch.no_grad():
            return self._scores(modules, pictures, labels)

    def _finish(self, ended: EndedRun) -> None:
        """All that follows training except saving: load the best weights, complete the model, report on the run."""
        result = ended.result
        # The networks are built anew, so that they compute in the same memory layout as those of a loaded model.
        self._load(result.weights)
        self._complete(ended.job.prepared.training)
        self.scores_ = result.scores
        self._record = {**ended.totals(), **ended.job.origin()}
        grid, self.verdict_ = ended.sample(self, self._untuned())
        summary = ended.summary(grid, self.verdict_)
        self.report_ = make_report(self.kind, summary)
        self._model_files = make_model_files(self.kind, summary, self.report_)

    def _untuned(self) -> Self | None:
        """The same model without its tuning, sampled in the same way; ``None``: it is not tuned."""
        return None

    def _save_ended(self, ended: EndedRun) -> None:
        """Save the model, if it has a folder; with the draft of a stopped run, say how to go on.

        Otherwise what the run noted is warned of, and its checkpoints are deleted.
        """
        folder = ended.job.folder if ended.monitor.run.leader else None
        if folder is not None:
            self.save(folder)
        if ended.stopped is not None and folder is not None:
            raise draft.interrupted(ended.stopped, folder)
        for note in ended.result.notes:
            log.warning("%s", note)
        if folder is not None:
            checkpoint.remove(folder)

    def _sample_images(self, seeds: range, label: Label | None, bar: Bar) -> Images:
        labels = self.sample_labels(seeds, label)
        return self._images(self.sample_pixels(seeds, labels, bar), labels, [f"{self.kind}#{s}" for s in seeds])
