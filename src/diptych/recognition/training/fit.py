"""The stages of fitting a recognizer: prepare, configure, train, rebalance, calibrate, report."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diptych.data.images import Images
from diptych.data.training_digests import NONE, stored_digests
from diptych.data.transforms import to_float
from diptych.engine import checkpoint, machine, picture_record
from diptych.engine.machine import Machine
from diptych.errors import Interrupted
from diptych.recognition import datasets, networks
from diptych.recognition.confidence.calibrate import fit_decision_rule
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.datasets import PreparedData
from diptych.recognition.evaluation.worst_errors import FORWARD_PASSES
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.embeddings import MAX_PICTURES, EmbeddingIndex, rows_to_index
from diptych.recognition.inference.named_pictures import NamedPictures
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.networks import Network
from diptych.recognition.training import config, fit_report, imbalance, run, tta_selection
from diptych.recognition.training.budget import Budget
from diptych.recognition.training.config import TrainingConfig
from diptych.recognition.training.remedies import applied, remedy
from diptych.recognition.training.remedies.cells import check_column
from diptych.recognition.training.run import Job, TrainingResult
from diptych.recognition.training.transfer import finetune, probe
from diptych.recognition.training.transfer.series_search import SETTING as SERIES
from diptych.recognition.training.transfer.series_search import series_search
from diptych.recognition.training.warm_start import WarmStart
from diptych.report import Report

log = logging.getLogger("diptych")
REPORT_SECONDS = 4.0  # what writing the artefact and the report takes
INDEX_SHARE = 0.05  # of a run at most goes into embedding training pictures,
MIN_INDEXED, MIN_INDEXED_WITHOUT_BUDGET = 100, 1000  # but so many are embedded, with a time budget and without
VALIDATION_SHARE, VALIDATION_SECONDS = 0.1, 20.0  # of a time budget at most, for one pass over the validation pictures,
MIN_VALIDATION = 100  # but over so many
TTA_SHARE = 0.05  # of a run at most, for finding out whether test-time augmentation pays


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a run hands over."""

    network: Network
    size: int
    decision_rule: DecisionRule
    embedding_index: EmbeddingIndex | None
    report: Report
    facts: dict[str, Any]
    data: dict[str, Any]
    leader: bool
    stopped: Interrupted | None = None  # by what, before its end


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A trained and calibrated recognizer, before it is reported on; one that is private has no index."""

    job: Job
    data: PreparedData
    result: TrainingResult
    rule: DecisionRule
    index: EmbeddingIndex | None


def fit(
    parameters: Mapping[str, Any],
    images: Images,
    validate: Images | None,
    *,
    folder: Path | None,
    settings: Mapping[str, Any],
    started: float,
    start: WarmStart | None = None,
) -> FitResult:
    """Train, or continue, and evaluate on the validation pictures; see :meth:`Recognizer.fit`.

    Parameters
    ----------
    settings
        The run's identity, as far as it is known before the network is chosen.
    started
        ``time.monotonic()`` at which the time budget began.
    start
        The recognizer whose weights it starts from; ``None``: fresh or pretrained ones.
    """
    job, data, indexed = prepare_job(
        parameters, images, validate, folder=folder, settings=settings, started=started, start=start
    )
    picture_record.write(folder, images, validate)
    return fit_result(train_model(job, data, indexed), parameters["seed"], start)


def prepare_job(
    parameters: Mapping[str, Any],
    images: Images,
    validate: Images | None,
    *,
    folder: Path | None,
    settings: Mapping[str, Any],
    started: float,
    start: WarmStart | None,
) -> tuple[Job, PreparedData, Images]:
    """All that a run is made of: the job, its data, and the training pictures whose embeddings are kept."""
    data, sample, chosen = _prepare(parameters, images, validate, folder, started, start)
    network, proxy = _build(chosen, data, sample, parameters["seed"], start)
    length = math.inf if chosen.epochs is None else chosen.epochs * len(data.training)
    budget = Budget.measure(network, sample, minutes=chosen.minutes, started=started, training_pictures=length)
    if data.series is None:  # else all pictures have been embedded already
        data = _within_budget(data, budget)
    indexed = _pictures_to_index(data, budget)
    job = _make_job(parameters, data, chosen, network, proxy, budget, indexed, folder, settings)
    if start is not None and start.extension is not None:
        extension = start.extension
        job = replace(job, seed=job.seed + extension.seed, schedule_start=extension.schedule_start)
    return job, data, indexed


def train_model(job: Job, data: PreparedData, indexed: Images) -> FittedModel:
    """Train, or continue; then all that is fitted once the network is trained."""
    network = job.network
    result = _train(job)
    Machine(machine.device()).prepare([network], [network])  # plain, as a loaded model runs
    if result.training is not None:
        outputs = result.training.rows(rows_to_index(job.training.labels, len(indexed)))
    elif result.frozen:
        outputs = Embedder(network, job.config.size, "", frozen=True).outputs(indexed)
    else:
        outputs = compute_outputs(network, indexed, job.config.size, title="Embedding")
    index = EmbeddingIndex.of(outputs.features, outputs.slopes, indexed.labels, NamedPictures.of(indexed))
    result = _rebalance(job, result, indexed, outputs)
    result = result if result.stopped else _select_tta(job, applied.refit_last_layer(job, result))
    rule = fit_decision_rule(result.outputs, job.validation, index)
    return FittedModel(job=job, data=data, result=result, rule=rule, index=index)


def _train(job: Job) -> TrainingResult:
    if job.network.pretrained:
        return finetune.train(job) if job.remedy is None else applied.train_head(job)
    return run.train(job)


def fit_result(model: FittedModel, seed: int, start: WarmStart | None) -> FitResult:
    """What a run hands over, with the report on the validation pictures."""
    trained, origin = (NONE, None) if start is None else (start.trained, start.origin())
    job, data, result, index = model.job, model.data, model.result, model.index
    report, facts = fit_report.make_report(job, data, result, model.rule, index)
    return FitResult(
        network=job.network,
        size=job.config.size,
        decision_rule=model.rule,
        embedding_index=index,
        report=report,
        facts=facts if origin is None else {**facts, "started_from": origin},
        data=fit_report.private_data_facts(data, seed)
        if index is None
        else fit_report.data_facts(data, index, seed, trained),
        leader=result.leader,
        stopped=result.stopped,
    )


def _prepare(
    parameters: Mapping[str, Any],
    images: Images,
    validate: Images | None,
    folder: Path | None,
    started: float,
    start: WarmStart | None,
) -> tuple[PreparedData, Tensor, TrainingConfig]:
    """The data, a sample of training pictures (n, 3, S, S) uint8, and the configuration that suits them."""
    stored_settings = None if folder is None else checkpoint.stored_settings(folder)
    seed = parameters["seed"]
    if start is None:
        networks.require_weights(parameters["network"])  # before the pictures are read, which takes longer
        datasets.check_labels(images)
        network, size, notes = config.choose_network_and_size(parameters, datasets.median_side(images))
        until = _probe_end(parameters, network, started)
        find_series = series_search(network, size, until, stored_settings)
        data = datasets.prepare(images, validate, size, seed, find_series=find_series).with_notes(*notes)
    else:
        network, size = start.network_and_size(parameters)
        find_series = None
        if start.extension is None:
            until = _probe_end(parameters, network, started)
            find_series = series_search(start.network, size, until, stored_settings)
        keep = stored_digests(start.data) if start.extension else None
        data = datasets.prepare(images, validate, size, seed, trained=start.trained, keep=keep, find_series=find_series)
    if parameters["remedy"] is not None:
        check_column(data.training, parameters["group"])
    sample = data.training[config.sample_rows(len(data.training), size)].pixels(size)
    if start is not None and start.extension is not None:
        start.check_same_split(data)
        return data, sample, config.extension_config(start.facts, network, start.extension.minutes)
    # A network that follows the initial weights is not to be replaced by one that suits the time.
    parameters = parameters if start is None else {**parameters, "network": network}
    return data, sample, config.make_config(parameters, network, size, data.training, sample, stored_settings)


def _probe_end(parameters: Mapping[str, Any], network: str | type[nn.Module], started: float) -> float:
    """``time.monotonic()`` until which pictures are embedded; infinite without a time budget."""
    return started + probe.SHARE * 60 * (config.time_budget(parameters, network) or math.inf)


def _build(
    chosen: TrainingConfig, data: PreparedData, sample: Tensor, seed: int, start: WarmStart | None
) -> tuple[Network, Network | None]:
    """The network, and the proxy that selects what it is trained on, if its recipe has one."""
    names, proxy = data.training.classes, chosen.recipe.proxy
    if start is None:
        network = _initialised(chosen.network, chosen.size, len(names), sample, seed)
    else:
        network = start.build(chosen.network, names, chosen.size, seed)
    return network, None if proxy is None else _initialised(proxy, chosen.size, len(names), sample, seed)


def _initialised(name: str | type[nn.Module], size: int, classes: int, sample: Tensor, seed: int) -> Network:
    """A network with initial weights that depend on the seed alone, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = networks.build(name, classes=classes, size=size)
    network.adapt(to_float(sample))
    return network


def _within_budget(data: PreparedData, budget: Budget) -> PreparedData:
    """The same data with as many validation pictures as the time budget allows to evaluate on."""
    images = data.validation
    share = min(VALIDATION_SHARE, VALIDATION_SECONDS / budget.seconds)
    count = len(images) if budget.minutes is None else budget.affordable(share, MIN_VALIDATION, len(images))
    if count >= len(images):
        return data
    note = f"The time budget allows validation on {count} of the {len(images)} validation pictures."
    log.info("%s", note)
    order = np.arange(len(images)) if images.multi_label else np.argsort(images.labels, kind="stable")
    rows = np.sort(order[np.linspace(0, len(images) - 1, count).round().astype(np.int64)])
    return replace(data, validation=images[rows], notes=(*data.notes, note))


def _pictures_to_index(data: PreparedData, budget: Budget) -> Images:
    """The training pictures whose embeddings are kept: as many as the budget affords, evenly over the classes."""
    at_least = MIN_INDEXED_WITHOUT_BUDGET if budget.minutes is None else MIN_INDEXED
    count = budget.affordable(INDEX_SHARE, at_least, MAX_PICTURES) if data.series is None else MAX_PICTURES
    return data.training[rows_to_index(data.training.labels, count)]


def _make_job(
    parameters: Mapping[str, Any],
    data: PreparedData,
    chosen: TrainingConfig,
    network: Network,
    proxy: Network | None,
    budget: Budget,
    indexed: Images,
    folder: Path | None,
    settings: Mapping[str, Any],
) -> Job:
    training, series = data.training, data.series
    cure = remedy.prepare(parameters["remedy"], parameters["group"], training, network, seed=parameters["seed"])
    if cure is not None and cure.refit is not None:
        training, series = training[cure.rows], None
    rebalanced = cure is None and parameters["imbalance"] == "auto" and imbalance.is_imbalanced(training)
    views = _affordable_views(budget, data.validation)
    report_seconds = REPORT_SECONDS + budget.seconds_per_picture * (FORWARD_PASSES + views)
    outputs_seconds = budget.seconds_per_picture * (len(data.validation) + len(indexed))
    return Job(
        network=network,
        proxy=proxy if cure is None else None,
        config=chosen,
        training=training,
        validation=data.validation,
        series=series,
        class_shares=imbalance.class_shares(training) if rebalanced else None,
        remedy=cure,
        folder=folder,
        settings={
            **settings,
            "network": networks.name_of(chosen.network),
            "proxy": None if cure else chosen.recipe.proxy,
            **({SERIES: data.series is not None} if network.pretrained else {}),
        },
        budget=budget,
        report_seconds=report_seconds,
        reserve_seconds=report_seconds + outputs_seconds,
        seed=parameters["seed"],
    )


def _affordable_views(budget: Budget, validation: Images) -> int:
    """How many views test-time augmentation may be tried on."""
    return budget.affordable(TTA_SHARE, 0, round(tta_selection.VIEWS_EACH * len(validation)))


def _rebalance(job: Job, result: TrainingResult, training: Images, training_outputs: Outputs) -> TrainingResult:
    """Apply the best imbalance method, if the classes are uneven and are to count the same."""
    if job.class_shares is None:
        return result
    outputs, method = imbalance.rebalance(
        job.network,
        validation=job.validation,
        validation_outputs=result.outputs,
        training=training,
        training_outputs=training_outputs,
        shares=job.class_shares,
        hurry=job.budget.minutes is not None,
    )
    note = method.note(job.class_shares)
    log.info("%s", note)
    tables = {**result.tables, "Imbalance methods": method.table()}
    return replace(result, outputs=outputs, notes=[*result.notes, note], tables=tables)


def _select_tta(job: Job, result: TrainingResult) -> TrainingResult:
    """Turn test-time augmentation on where it pays."""
    views = _affordable_views(job.budget, job.validation)
    outputs = tta_selection.select_tta(
        job.network, job.validation, result.outputs, job.config.size, job.config.augment, views
    )
    return replace(result, outputs=outputs)
