"""Answers with a row of JSON for each picture, and the verbs that both workers have: predict, match."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from diptych.data.decoding.kinds import has_picture_signature
from diptych.data.images import Images
from diptych.files import path_for_clients

Answer = tuple[dict[str, Any], list[bytes]]  # the header's value, and parts
Verb = Callable[[Any, dict[str, Any], list[bytes]], Answer]  # of a model, options and parts


def predict(recognizer: Any, options: dict[str, Any], pictures: list[bytes]) -> Answer:
    """A row of JSON for each picture, of a recognizer or an exported one; see :meth:`diptych.Predictions.json_rows`."""
    return rows_answer(recognizer.predict(pictures).json_rows(), options["names"], pictures)


def match(gallery: Any, options: dict[str, Any], pictures: list[bytes]) -> Answer:
    """The nearest enrolled pictures of each picture, and the label that they vote for."""
    arguments = {name: options[name] for name in ("k", "far", "where") if options.get(name) is not None}
    rows = [row.json(path_for_clients) for row in gallery.match(Images.of(pictures, "none"), **arguments)]
    return rows_answer(rows, options["names"], pictures)


def rows_answer(rows: list[dict[str, Any]], names: Sequence[str], pictures: list[bytes]) -> Answer:
    """Rows under the names that the request gave; a status for each, were its picture the only one."""
    statuses = [
        200 if "error" not in row else 400 if has_picture_signature(picture[:16]) else 415
        for row, picture in zip(rows, pictures, strict=True)
    ]
    named = ({**row, "path": name} for row, name in zip(rows, names, strict=True))
    texts = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in named)
    return {"statuses": statuses}, [text.encode(errors="replace") for text in texts]  # a name may be no Unicode
