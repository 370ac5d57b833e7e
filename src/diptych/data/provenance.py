"""Where pictures come from, at the doors that generated ones must not pass.

What is measured on pictures that a model generated says how well models agree with each other, not how well they see
the world. So a generated picture never evaluates, calibrates or validates: each place that does refuses it here.
"""

import numpy as np
from numpy.typing import NDArray

from diptych.data.messages import counted
from diptych.data.picture_set import PictureSet, PictureSetT
from diptych.data.sources.base import ORIGINS
from diptych.errors import DataError


def generated_mask(images: PictureSet) -> NDArray[np.bool_]:
    """(N,) which pictures are generated, as a whole or in part: by their metadata, or the record they were saved with.

    See :mod:`diptych.data.sources.recorded_origins`, which tells origins when pictures are opened.
    """
    return np.asarray(images.origins != ORIGINS[0], np.bool_)


def real_part(images: PictureSetT) -> PictureSetT:
    """The pictures that are not generated."""
    generated = generated_mask(images)
    return images[~generated] if generated.any() else images


def refuse_generated(images: PictureSet, use: str) -> None:
    """Raise a DataError that names the first generated picture, if there is one.

    Parameters
    ----------
    use
        What real pictures are needed for, as the subject of a sentence: "An evaluation".
    """
    rows = np.flatnonzero(generated_mask(images))
    if not len(rows):
        return
    others = f" ({counted(len(rows) - 1, 'other is', 'others are')} as well)" if len(rows) > 1 else ""
    part = "partly generated" if images.origins[rows[0]] == ORIGINS[2] else "generated"
    raise DataError(
        f"{images.paths[rows[0]]} is {part}, as its metadata or the record of its folder says{others}. {use} takes "
        "real pictures alone, since models are good at what models generate. Name a set of real pictures, or take the "
        'generated ones out of this one (in Python: images[images.origins == "real"]).'
    )
