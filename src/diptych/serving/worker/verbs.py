"""What the full worker does with a model: each verb takes a frame's options and parts, and gives the answer's."""

from base64 import b64encode
from itertools import islice
from typing import Any

import numpy as np
import torch

from diptych.data.images import Images
from diptych.data.provenance import generated_facts
from diptych.errors import UsageError
from diptych.files import path_for_clients
from diptych.recognition.inference.embedder import Embedder
from diptych.report.figures import png
from diptych.report.visible_label import with_visible_label
from diptych.serving.worker.rows import Answer, Verb, match, predict, rows_answer

EDITS = ("reconstruct", "interpolate", "traverse", "inpaint", "blend", "restyle")
NEIGHBOURS = 3  # training pictures named in an explanation


def embed(recognizer: Any, options: dict[str, Any], pictures: list[bytes]) -> Answer:
    """The embedding of each picture, of unit length, or why it cannot be read."""
    images = Images.of(pictures, "none")
    vectors = torch.cat(list(Embedder(recognizer.network_, recognizer.size_, "").batches(images)))
    errors = images.known_errors()
    rows = [
        {"path": "", "error": errors[i].reason} if i in errors else {"path": "", "embedding": vector}
        for i, vector in enumerate(vectors.tolist())
    ]
    return rows_answer(rows, options["names"], pictures)


def explain(recognizer: Any, options: dict[str, Any], pictures: list[bytes]) -> Answer:
    """The prediction for one picture, the heatmap of the evidence for a label, and the most similar training pictures.

    The heatmap is a grey PNG of the network's input size in base64, white where the evidence is strongest.
    """
    images, label = Images.of(pictures, "none"), options["label"]
    (row,) = recognizer.predict(images).json_rows()
    if "error" not in row:
        (heatmap,) = recognizer.explain(images, label).numpy()
        grey = (heatmap * 255).round().astype(np.uint8)
        row["explained"] = label or max(row["probabilities"], key=row["probabilities"].get)
        row["heatmap"] = b64encode(png(grey)).decode()
        index = recognizer.embedding_index_
        near = recognizer.neighbours(images, NEIGHBOURS).rows(0) if index else []
        row["neighbours"] = [{**one, "path": path_for_clients(one["path"])} for one in near]
    return rows_answer([row], options["names"], pictures)


def thumbnails(gallery: Any, options: dict[str, Any], _: list[bytes]) -> Answer:
    """The thumbnail of each enrolled picture whose id is among the names; empty where there is none."""
    found = gallery.thumbnails(options["names"])
    pictures = [found.get(name, b"") for name in options["names"]]
    return {"statuses": [200 if picture else 404 for picture in pictures]}, pictures


def enroll(gallery: Any, options: dict[str, Any], pictures: list[bytes]) -> Answer:
    """Add pictures under one label; those that cannot be read are named."""
    images = Images.of(pictures, "none").with_metadata(paths=np.array(options["names"]))
    gallery.enroll(images, [options["label"]] * len(pictures))
    result = gallery.enrolment_
    value = {"added": result.added, "present": result.present, "unreadable": [str(e) for e in result.unreadable]}
    return {**value, "pictures": len(gallery), "labels": gallery.labels}, []


def contents(gallery: Any, options: dict[str, Any], _: list[bytes]) -> Answer:
    """What is in a gallery, or how many pictures a change of it met."""
    operation, arguments = options["operation"], options["arguments"]
    if operation == "labels":
        return {"labels": gallery.labels}, []
    if operation == "pictures":
        first = arguments["offset"]
        rows = islice(gallery.pictures(arguments["label"]), first, first + arguments["limit"])
        return {"pictures": [{**row, "path": path_for_clients(row["path"])} for row in rows]}, []
    if operation == "relabel":
        return {"changed": gallery.merge([arguments["label"]], arguments["into"])}, []
    return {"changed": getattr(gallery, operation)(**arguments)}, []


def sample(synthesizer: Any, options: dict[str, Any], _: list[bytes]) -> Answer:
    """Generated pictures as PNG, with their labels."""
    synthesizer = synthesizer.sampled_with(options["steps"], options["guidance"])
    images = synthesizer.sample(options["number"], label=options["label"], seed=options["seed"])
    return _pictures_answer(images, options)


def edit(synthesizer: Any, options: dict[str, Any], pictures: list[bytes]) -> Answer:
    """The pictures of one of :data:`EDITS`; the last part is the mask where there is one."""
    arguments = {name: value for name, value in options["arguments"].items() if value is not None}
    masks = {"mask": Images.of(pictures.pop(), "none")} if options["masked"] else {}
    images = Images.of(pictures, "none")
    operation = options["operation"]
    if operation == "interpolate":
        _require(len(images) >= 2, "Interpolation needs two pictures or more.")
        return _pictures_answer(synthesizer.interpolate(images[:-1], images[1:], **arguments), options)
    if operation == "blend":
        _require(len(images) <= 2, "Blending takes one picture or two.")
        return _pictures_answer(
            synthesizer.blend(images[:1], images[1:] if len(images) > 1 else None, **arguments, **masks), options
        )
    _require(operation != "inpaint" or bool(masks), "Inpainting needs a mask: white where to generate.")
    return _pictures_answer(getattr(synthesizer, operation)(images, **arguments, **masks), options)


VERBS: dict[str, Verb] = {
    verb.__name__: verb for verb in (predict, embed, explain, match, thumbnails, enroll, contents, sample, edit)
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def _pictures_answer(images: Images, options: dict[str, Any]) -> Answer:
    """Pictures as PNG, marked as generated, with their labels and origins."""
    labels = [images.classes[label] if label >= 0 else None for label in images.labels.tolist()]
    value = {"labels": labels, "origins": images.origins.tolist()}
    return value, [_marked(images, i, options["visible_label"]) for i in range(len(images))]


def _marked(images: Images, i: int, visible_label: bool) -> bytes:
    facts, pixels = generated_facts(images, i), images.picture(i)
    return png(with_visible_label(pixels) if facts is not None and visible_label else pixels, facts)
