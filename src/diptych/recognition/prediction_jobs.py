"""Predictions by other machines, in jobs of pictures: see :mod:`diptych.engine.row_jobs`."""

from collections.abc import Iterator
from typing import Any, Protocol

from diptych.data.images import Images
from diptych.engine import row_jobs
from diptych.recognition.predictions import Predictions


class Predictor(Protocol):
    """A recognizer, or an exported one."""

    def predict(self, images: Images) -> Predictions:
        """The predictions for these pictures."""

    def identity(self) -> dict[str, Any]:
        """What its predictions depend on; JSON-able."""


def predictions_by(runner: row_jobs.JobRunner, model: Predictor, images: Images) -> Iterator[Predictions]:
    """The predictions for some hundred pictures at a time, in order."""
    ranges = row_jobs.ranges(len(images))
    identity = {**model.identity(), **row_jobs.identity_of(images)}
    accept = row_jobs.adopting_reasons(images)
    results = runner.results(_prediction_job, (model, images), ranges, identity, "Predicting", accept)
    for rows, result in zip(ranges, results, strict=True):
        part = row_jobs.part_of(images, rows)
        result["classes"] = tuple(result["classes"])
        yield Predictions(**result, errors=part.known_errors(), images=part)


def _prediction_job(shared: tuple[Predictor, Images], rows: range) -> row_jobs.Result:
    model, images = shared
    part = row_jobs.part_of(images, rows)
    predictions = vars(model.predict(part))
    kept = {name: value for name, value in predictions.items() if name not in ("errors", "images")}
    return {**kept, "reasons": row_jobs.reasons_of(part)}
