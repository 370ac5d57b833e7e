"""Where pictures come from, at the doors that generated ones must not pass.

What is measured on pictures that a model generated says how well models agree with each other, not how well they see
the world. So a generated picture never evaluates, calibrates or validates: each place that does refuses it here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diptych.data.messages import counted
from diptych.data.picture_set import PictureSet, PictureSetT
from diptych.data.sources.base import ORIGINS
from diptych.errors import DataError
from diptych.marks import Generated


def known_origins(images: PictureSet) -> NDArray[np.str_]:
    """(N,) the origin of each picture: by its metadata, the record it was saved with, or the marks in its own file.

    See :mod:`diptych.data.sources.recorded_origins`, which tells origins when pictures are opened. Marks of other
    makers count as well; each file is looked into once.
    """

    def compute() -> NDArray[np.str_]:
        origins = np.array(images.origins, "<U9")
        real = np.flatnonzero(origins == ORIGINS[0])
        origins[real] = [kind or ORIGINS[0] for kind in images.store[real].marked_kinds()]
        return origins

    return images.cached("known_origins", compute)


def generated_mask(images: PictureSet) -> NDArray[np.bool_]:
    """(N,) which pictures are generated, as a whole or in part; see :func:`known_origins`."""
    return np.asarray(known_origins(images) != ORIGINS[0], np.bool_)


def generated_facts(images: PictureSet, row: int) -> Generated | None:
    """What a copy of a picture is marked with; ``None``: it is real, and is not marked."""
    kind = known_origins(images)[row]
    if kind == ORIGINS[0]:
        return None
    facts = images.store.generated_by(row) or Generated("synthetic")
    return replace(facts, kind="synthetic" if kind == ORIGINS[1] else "composite")


def sheet_facts(images: PictureSet, rows: Iterable[int] | None = None) -> Generated | None:
    """What a sheet of these pictures is marked with; ``None``: all of them are real.

    It is a composite as soon as one of them is, or is real; a model is named where all are of that one.
    """
    return joint_facts([generated_facts(images, int(row)) for row in (range(len(images)) if rows is None else rows)])


def joint_facts(facts: Sequence[Generated | None]) -> Generated | None:
    """The same for pictures of these facts; ``None`` among them is a real one."""
    generated = [one for one in facts if one is not None]
    if not generated:
        return None
    mixed = len(generated) < len(facts) or any(one.kind == "composite" for one in generated)
    same = len({(one.model, one.weights_sha256, one.software) for one in generated}) == 1
    whole = replace(generated[0], settings={}) if same else Generated("synthetic")
    return replace(whole, kind="composite" if mixed else "synthetic")


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
    origins = known_origins(images)
    rows = np.flatnonzero(origins != ORIGINS[0])
    if not len(rows):
        return
    others = f" ({counted(len(rows) - 1, 'other is', 'others are')} as well)" if len(rows) > 1 else ""
    by_mark = images.origins[rows[0]] == ORIGINS[0]
    says = "the mark in its file" if by_mark else "its metadata or the record of its folder"
    code = "" if by_mark else ' (in Python: images[images.origins == "real"])'
    part = "partly generated" if origins[rows[0]] == ORIGINS[2] else "generated"
    raise DataError(
        f"{images.paths[rows[0]]} is {part}, as {says} says{others}. {use} takes "
        "real pictures alone, since models are good at what models generate. Name a set of real pictures, or take the "
        f"generated ones out of this one{code}."
    )
