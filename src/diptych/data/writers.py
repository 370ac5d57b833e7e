"""Pictures to disk, in forms that ``Images.open`` reads back: a folder, .npz or Parquet."""

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.labels import label_names
from diptych.data.picture_set import PictureSet
from diptych.data.provenance import generated_facts, known_origins
from diptych.errors import DataError, UsageError
from diptych.marks import carries_mark, mark_if
from diptych.marks.containers import PNG
from diptych.resources import worker_count

_ROW_GROUP_PICTURES = 1000
MAX_NAME_BYTES = 200  # of a folder: file systems take 255, some less
_FORBIDDEN_CHARACTERS = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def save_images(images: PictureSet, path: Path) -> Path:
    """Write every picture at its own size, without loss, with labels, groups and origins.

    Generated pictures are marked (see :mod:`diptych.marks`), in a folder and in Parquet; an .npz, which holds pixels
    alone, has their origins in its array ``origins``.

    Parameters
    ----------
    images
        The pictures; each must be readable.
    path
        Ends in .npz or .parquet for one file, which is replaced; anything else is a folder of class folders of
        PNG, which must be new or empty. A metadata.csv in it holds what folder names cannot.

    Raises
    ------
    UsageError
        If the folder holds something already.
    DataError
        If pictures of different sizes are to go into an .npz.
    PictureError
        If a picture cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    images = images.with_metadata(origins=known_origins(images))
    writer = {".npz": _save_npz, ".parquet": _save_parquet}.get(path.suffix.lower(), _save_folder)
    writer(images, path)
    return path


def _save_folder(images: PictureSet, path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} holds something already; name a new or an empty folder.")
    names, complete = file_names(images)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as temporary:
        part = Path(temporary, "part")
        for folder in {Path(part, name).parent for name in names} | {part}:
            folder.mkdir(parents=True, exist_ok=True)
        for name, data in zip(names, _encoded(images), strict=True):
            Path(part, name).write_bytes(data)
        if not complete:
            text = metadata_csv(images, names)
            Path(part, "metadata.csv").write_text(text, "utf-8", "surrogateescape", newline="")
        part.replace(path)


def file_names(images: PictureSet) -> tuple[list[str], bool]:
    """The names of the files of a saved folder; True if they alone hold all metadata."""
    labels = label_names(images.labels, images.classes)
    single = not images.multi_label
    folders = {name: class_folder(name) for name in images.classes}
    names = [f"{folders[label[0]]}/{i:06}.png" if single and label else f"{i:06}.png" for i, label in enumerate(labels)]
    complete = single and not images.groups and set(images.origins.tolist()) <= {"real"}
    complete = complete and all(name == folder for name, folder in folders.items())
    return names, complete and (all(labels) or not any(labels))


def class_folder(name: str) -> str:
    """A class's name as that of a folder, which every file system takes; the table beside it has the whole name."""
    allowed = _FORBIDDEN_CHARACTERS.sub("_", name).strip(" .") or "_"
    encoded = allowed.encode("utf-8", "surrogateescape")
    return allowed if len(encoded) <= MAX_NAME_BYTES else encoded[:MAX_NAME_BYTES].decode("utf-8", "ignore")


def metadata_csv(images: PictureSet, names: list[str]) -> str:
    """The text of a metadata.csv for pictures in files of these names."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["file_name", "labels" if images.multi_label else "label", "origin", *images.groups])
    labels = label_names(images.labels, images.classes)
    columns = [column.tolist() for column in images.groups.values()]
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        cell = json.dumps(label) if images.multi_label else "".join(label)
        rows.writerow([name, cell, str(images.origins[i]), *(column[i] for column in columns)])
    return out.getvalue()


def _save_npz(images: PictureSet, path: Path) -> None:
    pictures = [images.picture(i) for i in range(len(images))]
    sizes = sorted({picture.shape for picture in pictures})
    if len(sizes) > 1:
        raise DataError(
            f"An .npz holds pictures of one size, but these have {len(sizes)} (such as "
            f"{sizes[0][1]} x {sizes[0][0]} and {sizes[-1][1]} x {sizes[-1][0]}). Save a folder or a .parquet."
        )
    arrays = {
        **images.groups,
        "pixels": np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8),
        "labels": images.labels,
        "classes": np.array(images.classes, np.str_),
        "origins": images.origins,
    }
    with _replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _save_parquet(images: PictureSet, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels: Any = images.labels.tolist()
    if images.multi_label:
        labels = [np.flatnonzero(row).tolist() for row in images.labels]
    name = "labels" if images.multi_label else "label"
    columns = {"origin": images.origins.tolist(), **{key: column.tolist() for key, column in images.groups.items()}}
    data, writer = _encoded(images), None
    with _replacing(path) as part:
        for start in range(0, max(len(images), 1), _ROW_GROUP_PICTURES):
            rows = range(start, min(start + _ROW_GROUP_PICTURES, len(images)))
            pictures = [{"bytes": next(data), "path": f"{i:06}.png"} for i in rows]
            kind = pa.list_(pa.int64()) if images.multi_label else pa.int64()
            table = {
                "image": pa.array(pictures, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
                name: pa.array(labels[start : rows.stop], kind),
                **{key: pa.array(column[start : rows.stop]) for key, column in columns.items()},
            }
            batch = pa.table(table).replace_schema_metadata({"huggingface": _hugging_face_features(images, name)})
            writer = writer or pq.ParquetWriter(part, batch.schema)
            writer.write_table(batch)
        if writer is not None:
            writer.close()


def _hugging_face_features(images: PictureSet, label: str) -> str:
    """The description that Hugging Face keeps beside the schema, so that class names accompany the numbers."""
    label_feature: dict[str, Any] = {"names": list(images.classes), "_type": "ClassLabel"}
    if images.multi_label:
        label_feature = {"feature": label_feature, "_type": "List"}
    return json.dumps({"info": {"features": {"image": {"_type": "Image"}, label: label_feature}}})


def _encoded(images: PictureSet) -> Iterator[bytes]:
    """Every picture as PNG, in order, encoded in threads; generated ones are marked, or keep the marks they have."""

    def encode(i: int) -> bytes:
        facts = generated_facts(images, i)
        if facts is not None and (kept := _marked_png(images.store.file(i))):
            return kept
        out = io.BytesIO()
        Image.fromarray(images.picture(i)).save(out, "PNG")
        return mark_if(out.getvalue(), facts)

    with thread_pool() as executor:
        yield from ordered_map(executor, encode, iter(range(len(images))), ahead=8 * worker_count())


def _marked_png(content: bytes | None) -> bytes | None:
    """A file that can be copied as it is: a marked PNG that decodes to its own pixels, upright, 8-bit RGB."""
    plain = content is not None and content.startswith(PNG) and content[24:26] == b"\x08\x02" and b"eXIf" not in content
    return content if content is not None and plain and carries_mark(content) else None


class _replacing:  # noqa: N801 - a context manager, named as a verb
    """A temporary path beside ``path`` that replaces it on success and is removed on failure."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")

    def __enter__(self) -> Path:
        return self._part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)
