"""Which pictures a model was trained on: a digest of each one's content, so that they are known again elsewhere.

A digest is of the file's bytes, or of the pixels of an array: it is the same wherever the picture lies and whatever it
is called, and another if it is encoded again.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.duplicates import content_digests, duplicate_clusters
from diptych.data.picture_set import PictureSet
from diptych.errors import DataError, UsageError

Digests = NDArray[np.uint64]
NONE: Digests = np.empty(0, np.uint64)


def pack_digests(images: PictureSet, others: Digests = NONE) -> str:
    """The digests of these pictures, and others, as text for ``data.json``: eleven characters a picture."""
    digests = np.unique(np.concatenate([content_digests(images), others]))
    return digests_text(digests[digests > 0])  # 0 is that of an unreadable picture


def digests_text(digests: Digests) -> str:
    """Digests as text, which :func:`read_digests` reads."""
    return b64encode(digests.astype("<u8").tobytes()).decode()


def stored_digests(data: Mapping[str, Any]) -> Digests:
    """The digests in a model's ``data.json``, or in the metadata of its exported file.

    Raises
    ------
    UsageError
        It has none, since the model is private, or an earlier version saved it.
    """
    if data.get("private"):
        raise UsageError(
            "The model to start from was trained with epsilon and so does not say which pictures it was trained on: "
            "another one could be validated on them. Start from a model without epsilon, or from none."
        )
    if "digests" not in data:
        raise UsageError(
            "The model to start from does not say which pictures it was trained on, so that another one could be "
            "validated on them. Fit it again with this version."
        )
    return read_digests(data["digests"])


def read_digests(text: str) -> Digests:
    """Digests of :func:`digests_text`.

    Raises
    ------
    DataError
        The text is none.
    """
    try:
        return np.frombuffer(b64decode(text, validate=True), "<u8").astype(np.uint64)
    except ValueError:
        raise DataError(
            "The digests of the training pictures in data.json are damaged. Restore the model's folder from a copy, or "
            "train again."
        ) from None


def trained_on(images: PictureSet, digests: Digests, *, copies: bool = False) -> NDArray[np.bool_]:
    """(N,) which of the pictures have one of these digests; with ``copies`` also their near-duplicates among them."""
    if not len(digests):
        return np.zeros(len(images), bool)
    known = np.isin(content_digests(images), digests)
    if not copies or not known.any():
        return known
    cluster = duplicate_clusters(images)
    return np.isin(cluster, cluster[known])
