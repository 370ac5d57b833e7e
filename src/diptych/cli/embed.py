"""``diptych embed``: write the embeddings of pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.cluster import on_cluster
from diptych.cli.options import SETTINGS, Config, Data, Json, Labels, On, Quiet
from diptych.cli.predict import exit_if_unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images
    from diptych.recognition.inference.embedder import Embedder

    Batch = tuple[list[str], list[list[str]], NDArray[np.float32]]  # paths, label names, (n, D)

SUFFIXES = (".parquet", ".npz")


def embed(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a recognizer, or a backbone: lite0.")],
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Write to a .parquet or .npz file.")],
    labels: Labels = None,
    json: Json = False,
    on: On = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Write the embeddings of pictures: feature vectors of unit length, in which alike pictures lie near each other.

    Example: diptych embed lite0 photos/ -o photos.parquet

    Each row has path, label (names joined by "|"; empty: none) and embedding. A picture that cannot be read is left
    out and named; the exit code is then 4, or 3 if none could be read.
    """
    from diptych.cli.paths import open_images
    from diptych.data.messages import counted
    from diptych.errors import UsageError
    from diptych.files import check_output_file

    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{output} does not name a format. Give it the suffix {' or '.join(SUFFIXES)}.")
    check_output_file(output)
    embedder = _embedder(model)
    images = open_images(data, labels=labels)
    write = _write_npz if output.suffix.lower() == ".npz" else _write_parquet
    with on_cluster(on):
        count, dimensions = write(output, _batches(embedder, images), embedder)
    console.list_skipped(images, map(str, images.known_errors().values()))
    if json:
        facts = embedder.facts()
        console.print_json({"file": str(output), "pictures": count, "dimensions": dimensions, "embedder": facts})
    else:
        console.print_text(f"{counted(count, 'picture')} in {output}: {dimensions} numbers each")
        console.suggest("inspect", data, *console.labels_option(labels))
    exit_if_unreadable(len(images) - count, len(images))


def _embedder(model: str) -> "Embedder":
    """The network of a recognizer's folder, or a pretrained backbone by its name."""
    from diptych.backbones.timm_backbone import is_pretrained
    from diptych.cli.models import load_model
    from diptych.recognition.inference.embedder import Embedder

    if is_pretrained(model) and not Path(model).exists():
        return Embedder.from_backbone(model)
    recognizer = load_model(Path(model), "recognizer")
    return Embedder(recognizer.network_, recognizer.size_, f"the recognizer in {Path(model).name}")


def _batches(embedder: "Embedder", images: "Images") -> Iterator["Batch"]:
    """Paths, label names and embeddings of the readable pictures, in order."""
    from diptych.data.labels import label_names

    start = 0
    for embeddings in embedder.batches(images):
        readable = (~embeddings.isnan().any(1)).numpy()
        part = images[start : start + len(embeddings)][readable]
        start += len(embeddings)
        yield part.paths.tolist(), label_names(part.labels, part.classes), embeddings[readable].numpy()


def _write_parquet(target: Path, batches: Iterator["Batch"], embedder: "Embedder") -> tuple[int, int]:
    """Write batch after batch; returns how many rows, and the numbers in each."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    draft, count, writer, dimensions = _draft(target), 0, None, 0
    for paths, labels, embeddings in batches:
        dimensions = embeddings.shape[1]
        if writer is None:
            columns = [("path", pa.string()), ("label", pa.string()), ("embedding", pa.list_(pa.float32(), dimensions))]
            schema = pa.schema(columns, metadata={"diptych_embedder": json.dumps(embedder.facts())})
            writer = pq.ParquetWriter(draft, schema)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), dimensions)
        label = pa.array(["|".join(names) for names in labels], pa.string())
        writer.write_table(pa.table([pa.array(paths, pa.string()), label, vectors], schema=writer.schema))
        count += len(paths)
    if writer is not None:
        writer.close()
        draft.replace(target)
    return count, dimensions


def _write_npz(target: Path, batches: Iterator["Batch"], embedder: "Embedder") -> tuple[int, int]:
    """Gather everything, then write; returns how many rows, and the numbers in each."""
    import json

    import numpy as np

    paths: list[str] = []
    labels: list[str] = []
    parts: list[Any] = []
    for batch_paths, batch_labels, embeddings in batches:
        paths += batch_paths
        labels += ["|".join(names) for names in batch_labels]
        parts.append(embeddings)
    vectors, draft = np.concatenate(parts), _draft(target)
    with draft.open("wb") as file:
        np.savez(
            file,
            path=np.array(paths),
            label=np.array(labels),
            embedding=vectors,
            embedder=json.dumps(embedder.facts()),
        )
    draft.replace(target)
    return len(paths), vectors.shape[1]


def _draft(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.part")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(embed)
