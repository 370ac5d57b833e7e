"""The readers that are fuzzed: what a person opens, with one file in it that may hold any bytes.

A target knows nothing of the fuzzer, so that what it finds can be read again without it (``test_findings.py``).
"""

import functools
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpus
import model_corpus
import mutation

from diptych.data.decode import decode, decode_square, dimensions
from diptych.data.images import Images
from diptych.data.inspection import manifest
from diptych.data.sources import open_source
from diptych.errors import PictureError
from diptych.marks.reading import read_mark

MAX_PICTURES = 12  # of a set that are decoded


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    file
        The name under which the bytes are written into the folder.
    read
        Reads the folder as the program does; it must end with nothing but the errors of ``diptych.errors``.
    seeds
        Real files of the kind.
    prepare
        Puts what lies around the file into the folder, once.
    mutate
        Changes a file such that it remains one of its kind; ``None``: as the fuzzer does.
    max_bytes
        Of a file.
    """

    file: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]
    prepare: Callable[[Path], object] = lambda folder: None
    mutate: mutation.Mutation | None = None
    max_bytes: int = 4096


def read_pictures(path: Path, labels: str | None = None) -> Images:
    """Open pictures, and use all that is known of them; without threads, which would cost more than the readers."""
    source = open_source(path, labels)
    images = Images.of_source(source)
    repr(images), images.counts()
    if not "".join(images.classes).isascii():
        images.fingerprint()
    for row in range(min(len(images), MAX_PICTURES)):
        source.identity(row), source.marked_kind(row)
        with suppress(PictureError):
            images.picture(row, 8)
    return images


@functools.cache
def digits() -> Images:
    """One picture."""
    return Images.open("digits")[:1]


def file(name: str) -> Callable[[Path], object]:
    """The reader of pictures in one file."""
    return lambda folder: read_pictures(folder / name)


def read_picture(folder: Path) -> None:
    """Decode one picture in each way."""
    data = (folder / "picture").read_bytes()
    for reader in (dimensions, decode, lambda content: decode_square(content, 8), read_mark):
        with suppress(PictureError):
            reader(data)


def read_annotations(folder: Path) -> None:
    """Take the export for labels, where it is one, and where a person says so."""
    read_pictures(folder)
    read_pictures(folder, labels="annotations.json")


def read_label_table(folder: Path) -> None:
    """Take a table for labels, where it has some, and where a person names a column."""
    read_pictures(folder)
    read_pictures(folder, labels="labels.csv:label")


def read_zip(folder: Path) -> None:
    """Open an archive; fsspec would remember the one that had this path before."""
    from fsspec.implementations.zip import ZipFileSystem

    ZipFileSystem.clear_instance_cache()
    read_pictures(folder / "pictures.zip")


def apply_manifest(folder: Path) -> None:
    """Apply a manifest to the pictures beside it."""
    name = next(path for path in folder.iterdir() if path.name.startswith("manifest"))
    manifest.apply(Images.open(folder / "pictures"), name)


def read_records(folder: Path) -> None:
    """Open pictures beside a record of any of the verbs that write some."""
    content = (folder / "sample.json").read_bytes()
    for name in ("edit.json", "balance.json"):
        (folder / name).write_bytes(content)
    read_pictures(folder)
    read_pictures(folder / "000000.png")


def edit_again(folder: Path) -> None:
    """Write the results of an edit where there are some."""
    from diptych.cli.edit_output import OutputFolder

    OutputFolder(folder, digits(), visible_label=False)


def sample_again(folder: Path) -> None:
    """Continue to sample into a folder."""
    import diptych

    model: Any = diptych.load(folder.parent / f"{folder.name}-model")
    model.sample(1, into=folder)


def load_model(folder: Path) -> None:
    """Load a model with all that it says of itself, and use it."""
    import diptych

    model: Any = diptych.load(folder)
    repr(model), model._repr_html_()
    model.predict(digits()) if hasattr(model, "predict") else model.sample(1)


def read_model_data(folder: Path) -> None:
    """Read what a model was trained on, as a warm start does."""
    from diptych import artefact
    from diptych.data.training_digests import stored_digests

    stored_digests(artefact.data(folder))


def read_run(folder: Path) -> None:
    """Continue a run, as far as its settings."""
    from diptych.engine import checkpoint

    checkpoint.check_length(folder, {"minutes": 1.0, "epochs": None})
    checkpoint.claim(folder, {"minutes": 1.0, "epochs": None, "network": "convnet"})


def read_history(folder: Path) -> None:
    """Continue the history of a run."""
    from diptych.engine.history import History

    History(folder, seen_pictures=64)


def read_checkpoint(folder: Path) -> None:
    """Read a checkpoint whose checksum is right."""
    from diptych.engine import checkpoint

    state = folder / model_corpus.STATE
    state.with_suffix(".sha256").write_text(hashlib.sha256(state.read_bytes()).hexdigest())
    checkpoint.load(folder)


TARGETS: dict[str, Target] = {
    "picture": Target("picture", read_picture, corpus.pictures, mutate=mutation.picture),
    "metadata-csv": Target(
        "metadata.csv", read_pictures, corpus.metadata_csv, corpus.write_pictures, mutation.table, max_bytes=1024
    ),
    "metadata-jsonl": Target(
        "metadata.jsonl", read_pictures, corpus.metadata_jsonl, corpus.write_pictures, mutation.json_lines
    ),
    "label-table": Target(
        "labels.csv", read_label_table, corpus.label_tables, corpus.write_pictures, mutation.table, max_bytes=1024
    ),
    "manifest-csv": Target(
        "manifest.csv",
        apply_manifest,
        corpus.manifests_csv,
        corpus.write_pictures_inside,
        mutation.table,
        max_bytes=1024,
    ),
    "manifest-jsonl": Target(
        "manifest.jsonl", apply_manifest, corpus.manifests_jsonl, corpus.write_pictures_inside, mutation.json_lines
    ),
    "annotations": Target(
        "annotations.json", read_annotations, corpus.annotations, corpus.write_pictures, mutation.json_value
    ),
    "records": Target("sample.json", read_records, corpus.records, corpus.write_pictures, mutation.json_value),
    "npz": Target("pictures.npz", file("pictures.npz"), corpus.npz_files, mutate=mutation.npz, max_bytes=16384),
    "tar": Target("pictures.tar", file("pictures.tar"), corpus.tar_files, mutate=mutation.tar, max_bytes=16384),
    "tar-gz": Target("pictures.tgz", file("pictures.tgz"), corpus.tgz_files, mutate=mutation.tgz),
    "zip": Target("pictures.zip", read_zip, corpus.zip_files, mutate=mutation.zip_archive),
    "parquet": Target(
        "pictures.parquet", file("pictures.parquet"), corpus.parquet_files, mutate=mutation.parquet, max_bytes=16384
    ),
    "arrow": Target(
        "set/data.arrow", file("set"), corpus.arrow_files, corpus.write_arrow_state, mutation.arrow, max_bytes=16384
    ),
    "model-facts": Target(
        "model.json",
        load_model,
        model_corpus.model_facts,
        model_corpus.write_recognizer,
        mutation.json_value,
        max_bytes=16384,
    ),
    "model-data": Target("data.json", read_model_data, model_corpus.model_data, mutate=mutation.json_value),
    "model-weights": Target(
        "embeddings.safetensors",
        load_model,
        model_corpus.embeddings,
        model_corpus.write_unchecked,
        mutation.safetensors,
        max_bytes=16384,
    ),
    "synthesizer-facts": Target(
        "model.json", load_model, model_corpus.synthesizer_facts, model_corpus.write_synthesizer, mutation.json_value
    ),
    "run-record": Target("checkpoint/run.json", read_run, model_corpus.run_records, mutate=mutation.json_value),
    "history": Target("history.jsonl", read_history, model_corpus.histories, mutate=mutation.json_lines),
    "checkpoint": Target(
        model_corpus.STATE, read_checkpoint, model_corpus.checkpoints, mutate=mutation.zip_archive, max_bytes=16384
    ),
    "sample-record": Target(
        "sample.json", sample_again, model_corpus.sample_records, model_corpus.write_samples, mutation.json_value
    ),
    "edit-record": Target("edit.json", edit_again, corpus.edit_records, mutate=mutation.json_value),
}


def write(target: Target, folder: Path, data: bytes) -> None:
    """Put the bytes where the target reads them."""
    path = folder / target.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # as writers do, so that a file which is still mapped stays as it is
    path.write_bytes(data)
