"""The report of a training run, and the facts that its artefact keeps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diptych import artefact
from diptych.data.training_digests import Digests, pack_digests
from diptych.engine.privacy import budget
from diptych.recognition import networks
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.datasets import PreparedData
from diptych.recognition.evaluation.evaluate import evaluation_report
from diptych.recognition.evaluation.verdict import MEASURE
from diptych.recognition.evaluation.worst_errors import ErrorExplainer
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.named_pictures import NamedPictures
from diptych.recognition.training.remedies.remedy import TABLE, add_outcome
from diptych.recognition.training.run import Job, TrainingResult
from diptych.report import Report, Table, figures

COUNTS = "Pictures of each class"


def make_report(
    job: Job, data: PreparedData, result: TrainingResult, rule: DecisionRule, index: EmbeddingIndex | None
) -> tuple[Report, dict[str, Any]]:
    """The report on the validation pictures, and the facts for ``model.json``."""
    explainer = ErrorExplainer(job.network, job.config.size, index)
    title = f"Recognizer of {len(rule.classes)} classes"
    report = evaluation_report(title, data.validation, result.outputs.logits, rule, explainer)
    if result.outcome is not None:
        add_outcome(report, result.outcome)
    facts = _model_facts(job, data, result, rule, report)
    _add_training(report, data, result, facts)
    if job.privacy is not None:
        report.parts.insert(0, Report(budget.HEADING, findings=budget.sentences(facts["privacy"])))
        report.verdict = report.verdict and replace(report.verdict, next_step=MEASURE)
    return report, facts


def _model_facts(
    job: Job, data: PreparedData, result: TrainingResult, rule: DecisionRule, report: Report
) -> dict[str, Any]:
    network, config = job.network, job.config
    training = {
        "pictures": len(data.training),
        "validation_pictures": len(data.validation),
        "seen_pictures": result.seen_pictures,
        "seconds": round(result.seconds, 1),
        "machine": result.machine,
        **config.facts(),
        "notes": [*data.notes, *result.notes],
    }
    return {
        "network": networks.name_of(config.network),
        "classes": list(rule.classes),
        "multi_label": rule.multi_label,
        "size": config.size,
        "geometry": "squash",
        **({"verdict": report.verdict.json()} if report.verdict else {}),
        "scores": {name: score.json() for name, score in report.scores.items()},
        "seen_pictures": result.seen_pictures,
        "seconds": training["seconds"],
        "training": training,
        **({"backbone": network.backbone_facts} if network.pretrained else {}),
        **({"tta": network.tta.to_json()} if network.tta else {}),
        **({"untuned": result.untuned} if result.untuned else {}),
        **({"privacy": job.privacy.facts()} if job.privacy else {}),
        **({artefact.UNFINISHED: _unfinished_facts(job, result)} if result.stopped else {}),
    }


def _unfinished_facts(job: Job, result: TrainingResult) -> dict[str, Any]:
    """What a draft says of how good it is, to be compared with the next one."""
    measure, score = job.score(result.outputs.logits, job.validation)
    return {"measure": measure, "score": score, "pictures": len(job.validation)}


def _add_training(report: Report, data: PreparedData, result: TrainingResult, facts: Mapping[str, Any]) -> None:
    """Add what a training run shows besides the scores: curves, comparisons, pictures of each class, settings."""
    curves = figures.curves(result.history)
    report.figures |= curves
    report.findings += facts["training"]["notes"]
    report.tables |= result.tables
    report.rare |= {*curves, *result.tables} - {TABLE}
    if "privacy" not in facts:
        training, validation = data.training.counts(), data.validation.counts()
        rows = [[name, training[name], validation[name]] for name in training]
        report.tables[COUNTS] = Table(["class", "training", "validation"], list(rows))
        report.rare.add(COUNTS)
    settings = {k: v for k, v in facts["training"].items() if k != "notes"}
    report.facts |= {"network": facts["network"], "size": facts["size"], **settings}


def private_data_facts(data: PreparedData, seed: int) -> dict[str, Any]:
    """What ``data.json`` holds of a private model: nothing that tells one training picture from another."""
    validated_on = NamedPictures.of(data.validation)
    return {
        "private": True,
        "folder": validated_on.folder,
        "validation": _validation_facts(data, validated_on),
        "split_seed": seed,
        "skipped": [{"path": e.path, "reason": e.reason} for e in data.training.skipped],
    }


def data_facts(data: PreparedData, index: EmbeddingIndex, seed: int, trained: Digests) -> dict[str, Any]:
    """What ``data.json`` holds; ``trained`` are digests of pictures that the initial weights were trained on."""
    training, validated_on = data.training, NamedPictures.of(data.validation)
    return {
        "folder": validated_on.folder,
        "training": {"counts": training.counts(), "fingerprint": training.fingerprint()},
        "digests": pack_digests(training, trained),
        "validation": _validation_facts(data, validated_on),
        "indexed": list(index.pictures.names),
        "indexed_digests": index.pictures.digests_text(),
        "split_seed": seed,
        "skipped": [{"path": e.path, "reason": e.reason} for e in training.skipped],
    }


def _validation_facts(data: PreparedData, pictures: NamedPictures) -> dict[str, Any]:
    return {
        "counts": data.validation.counts(),
        "fingerprint": data.validation.fingerprint(),
        "pictures": list(pictures.names),
        "digests": pictures.digests_text(),
    }
