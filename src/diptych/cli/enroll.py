"""``diptych enroll``: add labelled pictures to a gallery."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli import console
from diptych.cli.cluster import on_cluster
from diptych.cli.options import SETTINGS, Config, Data, Gallery, Json, Labels, On, Quiet
from diptych.cli.predict import exit_if_unreadable
from diptych.data.messages import counted, join_names

if TYPE_CHECKING:
    from diptych.recognition.gallery.enrolment import Enrolment


def enroll(
    gallery: Gallery,
    data: Data,
    recognizer: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="What turns pictures into vectors: the folder of a recognizer, or a backbone.  "
            "[default: that of the gallery, or lite0]",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option("--as", metavar="LABEL", help="The label of all these pictures.")] = None,
    labels: Labels = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Learn to tell the labels apart; kept if better on held-out pictures.")
    ] = False,
    table: Annotated[
        str | None, typer.Option(metavar="URL", help="Where a new gallery keeps its pictures: s3://bucket/folder.")
    ] = None,
    json: Json = False,
    on: On = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Add labelled pictures to a gallery, in which diptych match finds the nearest; no training is needed.

    Example: diptych enroll models/gallery photos/

    The gallery is made where it is not there. Pictures that are in it already stay as they are. A run that is killed
    has lost nothing that it has written, and the same command adds the rest.
    """
    from diptych.cli.paths import open_images
    from diptych.files import check_output_folder
    from diptych.recognition.gallery.enrolment import single_labels
    from diptych.recognition.gallery.gallery import Gallery as PictureGallery

    check_output_folder(gallery)
    images = open_images(data, labels="none" if label else labels)
    if label is None:
        single_labels(images)  # which refuses others, before a new gallery is made for them
    opened = PictureGallery(recognizer, gallery, table=table)
    with on_cluster(on):
        opened.enroll(images, None if label is None else [label] * len(images), adapt=adapt)
    result, total = opened.enrolment_, len(opened)
    console.list_skipped(images, map(str, result.unreadable))
    if result.other_label:
        console.log.warning(
            "%s in the gallery under another label, which stays: %s. To change it: diptych gallery reassign",
            counted(len(result.other_label), "picture is", "pictures are"),
            join_names(result.other_label),
        )
    if json:
        console.print_json({"gallery": str(gallery), **_counts(result), "pictures": total, "labels": opened.labels})
    else:
        console.print_text(*_sentences(gallery, result, total, len(opened.labels)))
        console.suggest("match", gallery, "PICTURE")
    exit_if_unreadable(len(result.unreadable), len(images))


def _counts(result: "Enrolment") -> dict[str, object]:
    adapter = {"adapter": result.adapter} if result.adapter else {}
    return {
        "added": result.added,
        "present": result.present,
        "under_another_label": len(result.other_label),
        "unreadable": len(result.unreadable),
        **adapter,
    }


def _sentences(gallery: Path, result: "Enrolment", total: int, labels: int) -> list[str]:
    present = f", {result.present:,} were there already or came twice" if result.present else ""
    counts = f"{counted(result.added, 'picture')} added{present}"
    whole = f"{gallery} has {counted(total, 'picture')} of {counted(labels, 'label')}"
    return [part for part in (f"{counts}: {whole}", result.adapter) if part]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(enroll)
