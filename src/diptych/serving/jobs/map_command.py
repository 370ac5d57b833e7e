"""The command of a ``map`` job: ``python -m diptych.serving.jobs.map_command --output FILE [--model M] [FOLDER …]``.

It is none of the program's verbs, since what it writes is for the server's page. Errors and exit codes are theirs.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diptych import artefact, files
from diptych.errors import DiptychError
from diptych.escaping import for_terminal

if TYPE_CHECKING:
    from diptych.recognition.embedding_map import EmbeddingMap

log = logging.getLogger("diptych")
BACKBONE = "lite0"  # what embeds where no model is named


def make_map(folders: Sequence[str], model: str | None, labels: str | None, seed: int) -> "EmbeddingMap":
    """The map of data sets, embedded by a model; without any, of the gallery that the model is.

    Parameters
    ----------
    folders
        Of the data sets, by whose last parts they are known.
    model
        The folder of a recognizer or a gallery; ``None``: the built-in backbone.

    Raises
    ------
    DiptychError
        Pictures or model cannot be used.
    """
    from diptych.data.images import Images
    from diptych.recognition.embedding_map import Embedded, EmbeddingMap
    from diptych.recognition.gallery.gallery import Gallery
    from diptych.recognition.inference.embedder import Embedder
    from diptych.recognition.recognizer import Recognizer

    kind = artefact.facts(Path(model))["kind"] if model else ""
    gallery = Gallery(store=model) if kind == "gallery" else None
    embedded = Embedded()
    if gallery is not None and not folders:
        embedded.add_gallery(gallery)
        return EmbeddingMap.of(gallery.embedder.name, embedded, seed)
    source: Embedder | Recognizer
    if gallery is not None:
        source, name = gallery.embedder, gallery.embedder.name
    elif model:
        source = Recognizer.from_artefact(artefact.read(model, "recognizer"))
        name = f"the recognizer {Path(model).name}"
    else:
        source = Embedder.from_backbone(BACKBONE)
        name = source.name
    for folder in folders:
        embedded.add_images(Path(folder).name, folder, Images.open(folder, labels=labels), source)
    for reason in embedded.unreadable:
        log.warning("Left out: %s", reason)
    return EmbeddingMap.of(name, embedded, seed)


def main(words: Sequence[str]) -> int:
    """Write the map; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("folders", nargs="*")
    given = parser.parse_args(words)
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    try:
        made = make_map(given.folders, given.model, given.labels, given.seed)
        files.write_text(given.output, json.dumps(made.json(), ensure_ascii=False, allow_nan=False))
    except DiptychError as error:
        print(f"Error: {for_terminal(str(error))}", file=sys.stderr)
        return error.exit_code
    print(json.dumps({"embedder": made.embedder, "pictures": len(made.places)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
