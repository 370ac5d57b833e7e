"""A table of which a file is damaged on the disk."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

from diptych.errors import ArtefactError
from diptych.recognition.gallery.table import PictureTable, vector_array


def test_a_flipped_bit_in_a_file_of_rows_is_said_to_be_damage(tmp_path: Path) -> None:
    columns = {name: pa.array(["a", "b"]) for name in ("id", "label", "path")}
    table = PictureTable(str(tmp_path), "pictures", 4)
    table.add(pa.table({**columns, "embedding": vector_array(torch.eye(2, 4))}))
    (file,) = tmp_path.rglob("data/*.lance")
    content = bytearray(file.read_bytes())
    content[-9] ^= 0x80  # in the numbers at its end that say where all others are
    file.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"is damaged\. Restore the gallery's folder"):
        list(PictureTable(str(tmp_path), "pictures", 4).scan(["id", "embedding"]))


def test_a_table_that_cannot_be_opened_is_named_without_places_in_the_source_of_lancedb(tmp_path: Path) -> None:
    PictureTable(str(tmp_path), "pictures", 4)
    for file in tmp_path.rglob("_versions/*.manifest"):
        file.write_bytes(b"")
    with pytest.raises(ArtefactError, match="cannot be opened") as raised:
        PictureTable(str(tmp_path), "pictures", 4)
    assert ".rs" not in str(raised.value)
