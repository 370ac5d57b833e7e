"""An inspection by what pictures show: outliers, same scenes and label errors by a pretrained backbone's features."""

from dataclasses import replace

import numpy as np

from diptych.data.images import Images
from diptych.data.inspection.inspect import Inspection
from diptych.errors import DataError
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.embeddings import rows_to_index
from diptych.recognition.label_errors import search_by_features

MAX_PICTURES = 10_000  # that are compared


def inspect_features(
    inspection: Inspection[Images], embedder: Embedder, seed: int = 0, *, labels: bool = True
) -> Inspection[Images]:
    """Add the outliers, in place of those of plain statistics, the same scenes, and the suspected label errors.

    Each picture is embedded once; of more than 10,000, so many are, evenly over the classes.

    Parameters
    ----------
    embedder
        A pretrained backbone.
    seed
        Of the folds in which labels are searched.
    labels
        Whether label errors are searched for; of pictures with several labels they are not.
    """
    images = inspection.images
    rows = rows_to_index(images.labels, MAX_PICTURES)
    compared = images[rows]
    features = np.concatenate([batch.numpy() for batch in embedder.batches(compared)])
    readable = np.isfinite(features).all(1)
    inspection = inspection.with_outliers(rows[readable], features[readable])
    inspection = inspection.with_same_scenes(rows[readable], features[readable])
    of_all = "" if len(rows) == len(images) else f" {len(rows):,} of the {len(images):,} pictures were compared."
    inspection = inspection.with_notes(
        f"Outliers and pictures of the same scene were searched for by the features of {embedder.name} "
        f"(weights {embedder.sha256[:12]}).{of_all}"
    )
    if not labels or not images.classes or images.multi_label:
        return inspection
    try:
        search = search_by_features(compared, features, embedder.name, seed)
    except DataError as error:
        return inspection.with_notes(f"Label errors were not searched for. {error}")
    issues = [replace(issue, row=int(rows[issue.row])) for issue in search.issues]
    return inspection.with_label_issues(issues, search.listed).with_notes(search.note)
