"""A gallery's pictures as a file of another tool: Parquet with everything, or CSV without thumbnails and vectors."""

import os
from pathlib import Path
from typing import Any

from diptych.errors import UsageError
from diptych.escaping import for_spreadsheet
from diptych.files import check_output_file
from diptych.recognition.gallery.table import PictureTable

BINARY = ("thumbnail", "embedding", "vector")


def export_table(table: PictureTable, path: Path) -> int:
    """Write the rows of a table, whose file is there only once it is whole; returns how many.

    Raises
    ------
    UsageError
        The file's suffix is neither .parquet nor .csv, or it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    if path.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"{path} does not name a format. Give it the suffix .parquet or .csv.")
    check_output_file(path)
    as_csv = path.suffix.lower() == ".csv"
    columns = [name for name in table.columns if not (as_csv and name in BINARY)]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, count = path.with_name(f"{path.name}.part"), 0
    schema = pa.schema([table.schema.field(name) for name in columns])
    with draft.open("wb") as file:
        writer = pa.csv.CSVWriter(file, schema) if as_csv else pq.ParquetWriter(file, schema)
        with writer:
            for batch in table.scan(columns):
                rows = pa.Table.from_batches([batch])
                writer.write_table(_for_spreadsheets(rows) if as_csv else rows)
                count += len(batch)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return count


def _for_spreadsheets(rows: Any) -> Any:
    """A table of Arrow in whose text a spreadsheet finds nothing to compute."""
    import pyarrow as pa

    for i, field in enumerate(rows.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            cells = [None if cell is None else for_spreadsheet(cell) for cell in rows.column(i).to_pylist()]
            rows = rows.set_column(i, field, pa.array(cells, field.type))
    return rows
