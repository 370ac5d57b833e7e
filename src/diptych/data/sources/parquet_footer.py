"""Whether the footer of a Parquet file describes its pieces as the format demands, found out without reading one."""

import io
from typing import Any

from diptych.errors import DataError


class _PageError(OSError):
    """A page was asked for."""


class _FooterAlone(io.RawIOBase):
    """An open file of which nothing can be read once its footer has been."""

    def __init__(self, file: Any) -> None:
        self._file, self.closed_pages = file, False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def read(self, size: int = -1) -> bytes:
        if self.closed_pages:
            raise _PageError("a page")
        return bytes(self._file.read(size))


def check_footer(file: Any, where: str) -> None:
    """Check that Arrow can describe every piece of an open Parquet file, of which no page is read.

    Asked for a piece whose description is damaged, Arrow 26 ends the whole process (an exception that its binding does
    not expect); while it prepares to read pieces it raises. So it is let prepare, on a file that ends with its footer.

    Raises
    ------
    DataError
        A piece is not described as the format demands.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    footer = _FooterAlone(file)
    try:
        parquet = pq.ParquetFile(footer, pre_buffer=True)
        footer.closed_pages = True
        next(parquet.iter_batches(1), None)
    except _PageError:
        pass
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where} is not a Parquet file that can be read: {error}.") from None
    finally:
        file.seek(0)
