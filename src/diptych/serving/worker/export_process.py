"""The process that exports a model for the quick worker: ``python -m …export_process MODEL FILE``; it ends with it."""

import os
import sys
from pathlib import Path

from diptych import artefact, progress
from diptych.errors import DiptychError

NICENESS = 5  # requests come first, but not alone: the sooner it is done, the faster they are
CHECKED_PICTURES = 200  # enough to notice a graph that answers otherwise, in seconds


def main(folder: Path, target: Path) -> None:
    """Export a recognizer, or the embedder of a gallery, once the file is proved to answer as it does.

    Raises
    ------
    DiptychError
        It cannot be loaded or converted, or its file would answer otherwise.
    """
    from diptych.backbones.light_timm import import_timm
    from diptych.exporting.embedder_export import export_embedder
    from diptych.exporting.export import export
    from diptych.exporting.reference_images import reference_images
    from diptych.recognition.gallery.source import EmbeddingSource
    from diptych.recognition.recognizer import Recognizer

    import_timm()
    saved = artefact.read(folder)
    if saved.facts["kind"] == "gallery":
        export_embedder(EmbeddingSource.of_gallery(saved).embedder, target)
        return
    recognizer = Recognizer.from_artefact(saved)
    pictures = reference_images(recognizer, None).images
    export(recognizer, target, check=pictures[:: -(-len(pictures) // CHECKED_PICTURES)])


if __name__ == "__main__":
    os.nice(NICENESS)
    progress.hide_bars()
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except DiptychError as error:
        sys.exit(str(error))
