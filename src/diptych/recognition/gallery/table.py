"""The table of a gallery's pictures, in LanceDB: embedded, crash-safe, on a disk or an object store.

LanceDB never changes a file in place: a batch of rows is a new file and a new version of the table, so that readers
see a whole version and a kill leaves the last one.
"""

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.errors import ArtefactError, UsageError
from diptych.files import remove_folder

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

KIND = "gallery"  # of the artefact that a table belongs to
DATABASE = "database"  # the folder of the table, in that of the gallery
MAX_EXACT_ROWS = 200_000  # searched by a matrix product in memory; more have an index
MAX_FRAGMENTS = 64  # files of rows, above which they are joined: each costs a scan some time
READERS_GRACE = timedelta(minutes=10)  # for which a reader may keep to an old version
SCAN_ROWS = 8192  # read at a time
Filter = Mapping[str, str | Sequence[str]]
CREATION_SECONDS = 2.0  # that creating an empty table takes at most
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
STORES = ("az", "gs", "s3")  # where a table may lie besides the gallery's own folder
_METADATA = "m_"  # before the names of columns of metadata


def database_uri(folder: Path, url: str | None) -> str:
    """Where the tables of the gallery in ``folder`` are: in it, in another folder, or behind an object store's URL.

    Raises
    ------
    ArtefactError
        The URL, which may come from somebody else's ``model.json``, is another kind of place.
    """
    if url is None:
        return str(folder / DATABASE)
    if not isinstance(url, str) or ("://" in url and url.partition("://")[0] not in STORES):
        raise ArtefactError(
            f"The table of the gallery {folder} cannot be at {url!r}. It lies in a folder or on an object "
            f"store: {', '.join(f'{store}://…' for store in STORES)}."
        )
    return url


def _check_schema(uri: str, name: str, schema: "pa.Schema", expected: "pa.Schema") -> None:
    for column in expected:
        if column.name not in schema.names or schema.field(column.name).type != column.type:
            raise ArtefactError(
                f"The table {name} at {uri} is damaged: its column {column.name} is not a gallery's. "
                "Restore it from a copy."
            )


def _clear_unborn(folder: Path) -> None:
    """Remove a table whose creation was killed: it has neither a version nor a file of rows.

    One with rows and without a version is damaged, and stays as it is.
    """
    until = time.monotonic() + CREATION_SECONDS  # another process may be creating it
    while folder.is_dir() and not any((*folder.glob("_versions/*.manifest"), *folder.glob("data/*"))):
        if time.monotonic() > until:
            remove_folder(folder)
        time.sleep(0.05)


class PictureTable:
    """Rows of pictures: id, label, path, origin, thumbnail, embedding, and columns of metadata.

    Parameters
    ----------
    uri
        A folder, or the URL of one on an object store (``s3://bucket/folder``), whose credentials and endpoint come
        from the environment as its own tools have them (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …).
    name
        Of the table in it.
    dimensions
        Numbers in an embedding; the table is created with them where it is not there.
    searched
        Numbers in the vectors that are searched instead of the embeddings; ``None``: the embeddings are.
    may_be_new
        Whether the table is created where it is not there; else that is damage.

    Raises
    ------
    UsageError
        LanceDB is not installed.
    ArtefactError
        The table cannot be opened, or is not that of a gallery.
    """

    def __init__(
        self, uri: str, name: str, dimensions: int, searched: int | None = None, *, may_be_new: bool = True
    ) -> None:
        lancedb = _lancedb()
        self.uri, self.name = uri, name
        self.vector_column = "embedding" if searched is None else "vector"
        if not re.fullmatch(r"[\w-]+", name):
            raise ArtefactError(f"A gallery's table cannot have the name {name!r}. Restore the gallery from a copy.")
        try:
            _clear_unborn(Path(uri, f"{name}.lance"))
            self._database = lancedb.connect(uri if "://" in uri else os.path.abspath(uri))  # noqa: PTH100 - "~" is a name
            there = name in self._database.list_tables().tables
            if not there and not may_be_new:
                raise ArtefactError(f"The database at {uri} has no table {name} any more. Restore it from a copy.")
            schema = _schema(dimensions, searched)
            self._table = self._database.open_table(name) if there else self._database.create_table(name, schema=schema)
            _check_schema(uri, name, self._table.schema, schema)
        except ArtefactError:
            raise
        except Exception as error:  # of many kinds: missing buckets, wrong credentials, damaged files
            raise_disk_error(error, uri)
            raise ArtefactError(f"The database at {uri} cannot be opened: {_first_line(error)}.") from error

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def refresh(self) -> int:
        """Go to the newest version, of whichever process; returns its number."""
        self._table.checkout_latest()
        return int(self._table.version)

    @property
    def metadata_columns(self) -> list[str]:
        """Names of the columns of metadata, as people gave them."""
        return [name.removeprefix(_METADATA) for name in self._table.schema.names if name.startswith(_METADATA)]

    @property
    def schema(self) -> "pa.Schema":
        """Names and types of all columns."""
        return self._table.schema

    @property
    def columns(self) -> list[str]:
        """Names of all columns, as the table has them."""
        return list(self._table.schema.names)

    def add(self, rows: "pa.Table") -> None:
        """Append rows, durable when this returns; columns of metadata that the table does not have are added to it."""
        import pyarrow as pa

        missing = [name for name in rows.column_names if name not in self.columns]
        with self._writing():
            if missing:
                self._table.add_columns(dict.fromkeys(missing, "cast(NULL as string)"))
            schema = self._table.schema
            for column in schema:
                if column.name not in rows.column_names:
                    rows = rows.append_column(column, pa.nulls(len(rows), column.type))
            self._table.add(rows.select(schema.names).cast(schema))

    def scan(self, columns: Sequence[str], where: str | None = None) -> Iterator["pa.RecordBatch"]:
        """These columns of all rows, or of those that a condition picks, some thousand at a time."""
        query = self._table.search().select(list(columns))
        if where is not None:
            query = query.where(where)
        with self._reading():
            yield from query.to_batches(batch_size=SCAN_ROWS)

    def nearest(self, vectors: Any, k: int, ef: int) -> "pa.Table":
        """The k rows nearest to each of (Q, d) vectors: id, label, path, _distance; query_index if Q > 1."""
        query = self._table.search(vectors, vector_column_name=self.vector_column).distance_type("cosine")
        with self._reading():
            return query.ef(ef).refine_factor(2).limit(k).select(["id", "label", "path", "_distance"]).to_arrow()

    def condition(self, where: Filter) -> str:
        """The condition that a filter stands for: each of its columns has the value, or one of the values.

        Raises
        ------
        UsageError
            There is no such column.
        """
        columns = {"label": "label", "path": "path", "origin": "origin", "id": "id"}
        columns |= {name: metadata_column(name) for name in self.metadata_columns}
        parts = []
        for name, values in where.items():
            if name not in columns:
                raise UsageError(f"The gallery has no column {name}. Its columns are: {', '.join(sorted(columns))}.")
            parts.append(one_of(columns[name], [values] if isinstance(values, str) else values))
        return " AND ".join(parts)

    def update(self, where: str, label: str) -> int:
        """Give the rows that a condition picks another label; returns how many."""
        with self._writing():
            return int(self._table.update(where=where, values={"label": label}).rows_updated)

    def tidy(self) -> None:
        """Join small files, bring the index up to date, and delete old versions."""
        with self._writing():
            self._table.optimize(cleanup_older_than=READERS_GRACE)

    def tidy_if_due(self) -> None:
        """:meth:`tidy` once there are many small files."""
        if self._table.stats()["fragment_stats"]["num_fragments"] > MAX_FRAGMENTS:
            self.tidy()

    def create_index(self) -> None:
        """Build the index of the searched vectors, or bring it up to date.

        Hierarchical navigable small worlds (Malkov & Yashunin 2018) over vectors of 8 bits a number.
        """
        from lancedb.index import HnswSq

        if self._table.list_indices():
            self.tidy()
        else:
            config = HnswSq(distance_type="cosine", m=20, ef_construction=200)
            with self._writing():
                self._table.create_index(self.vector_column, config=config)

    @property
    def has_index(self) -> bool:
        """Whether there is an index of the searched vectors."""
        return bool(self._table.list_indices())

    def drop(self) -> None:
        """Delete the table."""
        with self._writing():
            self._database.drop_table(self.name, ignore_missing=True)

    def drop_others(self, prefix: str) -> None:
        """Delete the other tables whose names begin so: the one before this, and drafts that a kill left."""
        for name in self._database.list_tables().tables:
            if name.startswith(prefix) and name != self.name:
                with self._writing():
                    self._database.drop_table(name)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:  # of LanceDB's, whatever it meets in a file
            if "not found" in str(error).lower():  # another process has just replaced the file
                raise
            cure = "Restore the gallery's folder from a copy, or enroll the pictures again into a new one."
            raise ArtefactError(f"The table of the gallery in {self.uri} is damaged. {cure}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise_disk_error(error, self.uri)
            raise


def raise_disk_error(error: Exception, uri: str) -> None:
    """Raise the :class:`OSError` that LanceDB, which raises others, met on a full or a read-only disk."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    if number and int(number[1]) in DISK_ERRORS:
        raise OSError(int(number[1]), os.strerror(int(number[1])), uri) from error


def parse_filter(conditions: Iterable[str]) -> dict[str, list[str]]:
    """``{"year": ["2020", "2021"]}`` of "year=2020" and "year=2021".

    Raises
    ------
    UsageError
        A condition has no equals sign.
    """
    values: dict[str, list[str]] = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(f"where takes COLUMN=VALUE, not {condition[:60]!a}.")
        values.setdefault(column, []).append(value)
    return values


def one_of(column: str, values: Iterable[str]) -> str:
    """The condition that a column has one of these texts."""
    texts = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"`{column}` IN ({texts})" if texts else "false"


def _schema(dimensions: int, searched: int | None) -> "pa.Schema":
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("id", "label", "path", "origin")]
    vector = [] if searched is None else [("vector", pa.list_(pa.float32(), searched))]
    return pa.schema([*texts, ("thumbnail", pa.binary()), ("embedding", pa.list_(pa.float32(), dimensions)), *vector])


def metadata_column(name: str) -> str:
    """The table's name for a column of metadata; some characters are not allowed in it."""
    return _METADATA + re.sub(r"[^\w -]", "_", name)


def vector_array(vectors: "Tensor") -> "pa.FixedSizeListArray":
    """(n, d) float32 as Arrow has it."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.contiguous().numpy().reshape(-1)), vectors.shape[1])


def matrix(column: Any) -> NDArray[np.float32]:
    """(n, d) of an Arrow column of vectors."""
    values: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    return values.copy().reshape(len(column), -1)  # Arrow's own memory is read-only


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise UsageError('A gallery needs LanceDB. Install it with: pip install "diptych[gallery]"') from None
    return lancedb


def _first_line(error: Exception) -> str:
    """What an error says, without the line of its own source that LanceDB adds."""
    text = re.sub(r",? \S+\.rs:\d+:\d+", "", str(error)).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
