"""Sampling by other machines, in jobs of seeds: see :mod:`diptych.engine.row_jobs`."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.engine import row_jobs
from diptych.synthesis.protocols import SampledModel


def sample_by(runner: row_jobs.JobRunner, model: SampledModel, seeds: list[int], labels: NDArray[np.int64]) -> Tensor:
    """(N, 3, S, S) uint8, a picture for each seed and label; see :meth:`SampledModel.sample_pixels`."""
    identity = {**identity_of(model), "seeds": seeds, "labels": labels.tolist()}
    results = runner.results(_pixels, (model, seeds, labels), row_jobs.ranges(len(seeds)), identity, "Sampling")
    return torch.cat([torch.from_numpy(result["pixels"]) for result in results])


def identity_of(model: SampledModel) -> dict[str, Any]:
    """What a sample depends on besides its seed and label; JSON-able."""
    return {
        "kind": model.kind,
        "weights_sha256": model.generated_facts().weights_sha256,
        "parameters": model.parameters(),
        "shares": model.shares_,
    }


def _pixels(shared: tuple[SampledModel, list[int], NDArray[np.int64]], rows: range) -> row_jobs.Result:
    model, seeds, labels = shared
    return {"pixels": model.sample_pixels(seeds[rows.start : rows.stop], labels[rows.start : rows.stop]).numpy()}
