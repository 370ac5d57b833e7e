"""The files that fuzzing starts from: small real ones of each kind, and what lies around them."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("cat.0.png", "cat.1.png", "dog.0.png", "dog.1.png", "000000.png")


def png(seed: int = 0, side: int = 8) -> bytes:
    """A small picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return encoded(Image.fromarray(pixels), "PNG")


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def pictures() -> list[bytes]:
    """One of each format, of the usual modes and depths."""
    rgb = Image.open(io.BytesIO(png()))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [
        encoded(rgb, kind) for kind in ("PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA")
    ]
    files += [encoded(rgb.convert(mode), "PNG") for mode in ("1", "L", "P", "RGBA", "LA", "I;16")]
    files += [encoded(rgb.convert(mode), "TIFF") for mode in ("1", "L", "P", "CMYK", "I;16", "F", "LAB", "YCbCr")]
    files += [encoded(rgb, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")]
    files += [encoded(rgb.convert(mode), "JPEG", exif=exif) for mode in ("L", "RGB", "CMYK")]
    files += [encoded(rgb, "JPEG", progressive=True), encoded(rgb, "PNG", exif=exif, transparency=(1, 2, 3))]
    files += [encoded(rgb, "GIF", save_all=True, append_images=[rgb]), encoded(rgb, "PNG", icc_profile=b"\0" * 128)]
    return files


def write_pictures(folder: Path) -> None:
    """Pictures whose names have labels in them."""
    for i, name in enumerate(NAMES):
        (folder / name).write_bytes(png(i))


def write_pictures_inside(folder: Path) -> None:
    """The same in a folder inside."""
    (folder / "pictures").mkdir()
    write_pictures(folder / "pictures")


def csv_file(rows: Sequence[Sequence[object]], separator: str = ",") -> bytes:
    """A table."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode()


def json_lines(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """The same with an object in each line."""
    return "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows).encode()


METADATA = ("file_name", "label", "split", "origin", "age")
METADATA_ROWS = (
    ("cat.0.png", "cat", "train", "real", 3),
    ("dog.0.png", "dog", "test", "synthetic", 4.5),
    ("dog.1.png", "", "", "", ""),
)


def metadata_csv() -> list[bytes]:
    """Tables of pictures."""
    several = [("file_name", "cat", "dog"), ("cat.0.png", 1, 0), ("dog.0.png", 1, 1), ("cat.1.png", 0, 1)]
    listed = [("file_name", "labels"), ("cat.0.png", "cat|dog"), ("dog.0.png", "dog"), ("absent.png", "cat")]
    tables = [csv_file([METADATA, *METADATA_ROWS], separator) for separator in ",;\t"]
    text = tables[0].decode()
    return [*tables, csv_file(several), csv_file(listed), text.encode("utf-16"), text.encode("utf-8-sig")]


def metadata_jsonl() -> list[bytes]:
    """The same with an object in each line."""
    listed = [("cat.0.png", ["cat", "dog"]), ("dog.0.png", [])]
    return [json_lines(METADATA, METADATA_ROWS), json_lines(("file_name", "labels"), listed)]


def label_tables() -> list[bytes]:
    """Tables of any name beside pictures."""
    rows = [(name, name[:3], i % 2) for i, name in enumerate(NAMES)]
    bare = [(Path(name).stem, name[:3]) for name in NAMES]
    one_hot = [(name, int(name[0] == "c"), int(name[0] == "d")) for name in NAMES]
    return [
        csv_file([("id", "label", "sex"), *rows]),
        csv_file([("id", "breed"), *bare]),
        csv_file([("id", "cat", "dog"), *one_hot]),
    ]


MANIFEST = ("path", "label", "split", "action", "reason")
MANIFEST_ROWS = (
    ("pictures/cat.0.png", "cat", "train", "keep", ""),
    ("pictures/dog.0.png", "dog|cat", "validation", "review", "blurred"),
    ("pictures/cat.1.png", "a\\u007cb", "", "exclude", "copy"),
    ("pictures/dog.1.png", "", "", "", ""),
)


def manifests_csv() -> list[bytes]:
    """A person's decisions."""
    return [
        csv_file([MANIFEST, *MANIFEST_ROWS]),
        csv_file([("path", "action"), *[(row[0], row[3]) for row in MANIFEST_ROWS]]),
    ]


def manifests_jsonl() -> list[bytes]:
    """The same with an object in each line."""
    return [json_lines(MANIFEST, MANIFEST_ROWS)]


def annotations() -> list[bytes]:
    """Exports of COCO and of both forms of Label Studio."""
    coco = {
        "images": [{"id": i, "file_name": name, "width": 8, "height": 8} for i, name in enumerate(NAMES)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": i % 2, "bbox": [0, 0, 1, 1]} for i in range(len(NAMES))
        ],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    result = {"type": "choices", "from_name": "a", "value": {"choices": ["cat"]}}
    full = [
        {
            "id": i,
            "data": {"image": f"/data/upload/1/0123abcd-{name}"},
            "annotations": [{"was_cancelled": False, "result": [result]}],
        }
        for i, name in enumerate(NAMES)
    ]
    short = [{"image": NAMES[0], "choice": {"choices": ["cat", "dog"]}}]
    short += [{"image": name, "choice": "cat"} for name in NAMES[1:]]
    return [json.dumps(content).encode() for content in (coco, full, short)]


def records() -> list[bytes]:
    """What sample, edit and balance write beside pictures."""
    sample = {"weights_sha256": "0", "kind": "vae", "number": 1, "seed": 0, "label": None}
    edit = {"edit": "vary", "files": [{"path": "out/000000.png", "origin": "composite"}], "others": ["grid.png"]}
    balance = {"balance": {"seed": 0}, "answer": {}, "generated": ["000000.png"]}
    return [json.dumps(content).encode() for content in (sample, edit, balance)]


def edit_records() -> list[bytes]:
    """What edit writes beside its results."""
    return records()[1:2]


def npz_files() -> list[bytes]:
    """Pixels with labels, names, origins and columns."""
    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    sets: list[dict[str, Any]] = [
        {"pixels": pixels, "labels": [0, 1], "classes": ["cat", "dog"], "split": ["train", "test"]},
        {"x": pixels / 255, "y": ["cat", "dog"], "origins": ["real", "synthetic"]},
        {"images": pixels[..., 0], "labels": np.eye(2), "classes": ["a", "b"]},
        {"pixels": pixels.transpose(0, 3, 1, 2)},
    ]
    files = []
    for arrays in sets:
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)
        files.append(out.getvalue())
    return files


MEMBERS = (
    ("0001.png", png(1)),
    ("0001.cls", b"1"),
    ("0002.png", png(2)),
    ("0002.json", b'{"label": "cat", "age": 3, "origin": "real"}'),
    ("a.b.png", png(3)),
    ("0003.json", b'{"labels": ["cat", "dog"]}'),
)
FOLDERS = tuple(
    (f"{part}/{name}/{i}.png", png(i)) for part in ("train", "test") for name in ("cat", "dog") for i in (0, 1)
)


def tar_file(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def tar_files() -> list[bytes]:
    """Shards with classes and with fields; packed class folders."""
    return [tar_file(MEMBERS), tar_file(MEMBERS[:2]), tar_file(FOLDERS[:5])]


def tgz_files() -> list[bytes]:
    """The same, compressed."""
    return [gzip.compress(content) for content in tar_files()]


def zip_file(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def zip_files() -> list[bytes]:
    """Class folders, a folder with a table, archives in an archive, shards and arrays."""
    listed = [(name, png(i)) for i, name in enumerate(NAMES)]
    inner = zip_file([("cat/1.png", png(1)), ("dog/2.png", png(2))])
    return [
        zip_file(FOLDERS[:4]),
        zip_file([("pets/" + name, content) for name, content in [*listed, ("metadata.csv", metadata_csv()[0])]]),
        zip_file([("train.zip", inner), ("test.zip", inner)]),
        zip_file([("a.npz", npz_files()[0])]),
    ]


def _tables() -> list[Any]:
    import pyarrow as pa

    structs = [{"bytes": png(1), "path": "a.png"}, {"bytes": png(2), "path": None}, {"bytes": None, "path": "b.png"}]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    named = pa.table({"image": structs, "label": [0, 1, 0], "split": ["train", "test", "test"]})
    return [
        named.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}),
        pa.table({"image": [png(1), png(2)], "label": ["cat", "dog"], "origin": ["real", "synthetic"]}),
        pa.table({"image": [png(1), png(2)], "labels": [["cat", "dog"], []], "age": [1.5, None]}),
    ]


def parquet_files() -> list[bytes]:
    """Tables of pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = []
    for table in _tables():
        out = pa.BufferOutputStream()
        pq.write_table(table, out, compression="none")
        files.append(bytes(out.getvalue()))
    return files


def arrow_files() -> list[bytes]:
    """The same as Arrow streams."""
    import pyarrow as pa

    files = []
    for table in _tables():
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        files.append(bytes(out.getvalue()))
    return files


def write_arrow_state(folder: Path) -> None:
    """What ``save_to_disk`` writes beside the table."""
    (folder / "set").mkdir()
    (folder / "set" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
