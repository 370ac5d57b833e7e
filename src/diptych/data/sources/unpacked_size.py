"""How much a packed file may become: a few kilobytes can unpack to more than the machine has."""

from typing import Any

from diptych import resources
from diptych.errors import DataError

FREELY_BYTES = 500_000_000  # to which anything may unpack
MAX_RATIO = 100  # of unpacked to packed beyond that; pictures and pixels of photographs reach 10
MEMORY_SHARE = 0.5  # of what is free
_DICTIONARY_PAGE, _INTEGER_FIELD, _LONGEST_NUMBER = 2, 0x15, 10
_HEADER_BYTES = 32  # in which the first fields of a page's header end


def largest_unpacked(packed: int) -> int:
    """The bytes that a file of ``packed`` bytes may unpack to."""
    return max(FREELY_BYTES, MAX_RATIO * packed)


def check_unpacked(packed: int, unpacked: int, where: str) -> None:
    """Check that what a file unpacks to is in proportion to it.

    Raises
    ------
    DataError
        Names both sizes and the limit.
    """
    limit = largest_unpacked(packed)
    if unpacked > limit:
        raise DataError(
            f"{where} holds {_size(packed)}, but unpacks to {_size(unpacked)} or more; the limit is {_size(limit)}, "
            f"which is {_size(FREELY_BYTES)} or {MAX_RATIO} times the file. Save it again in parts, less compressed."
        )


def check_memory(unpacked: int, where: str) -> None:
    """Check that what a file unpacks to fits in memory, of which the rest is needed for other things.

    Raises
    ------
    DataError
        Names its size and the limit.
    """
    limit = int(MEMORY_SHARE * resources.free_memory_bytes())
    if unpacked > limit:
        raise DataError(
            f"{where} takes {_size(unpacked)} of memory; the limit is {_size(limit)}, half of what is free. Save its "
            "pictures as files in a folder, which are read one by one."
        )


def dictionary_bytes(content: bytes) -> int:
    """The unpacked size of the dictionary page that a column of Parquet begins with; 0: it begins with another page.

    Of each value in a dictionary there may be any number of copies in the rows. The header is Thrift's compact
    protocol: type, unpacked size and packed size are its first fields (parquet.thrift, PageHeader).
    """
    numbers: list[int] = []
    at = 0
    try:
        while len(numbers) < 2:
            if content[at] != _INTEGER_FIELD:
                return 0
            number, at = _variable_length(content, at + 1)
            numbers.append(number)
    except IndexError:
        return 0
    return numbers[1] if numbers[0] == _DICTIONARY_PAGE else 0


def largest_dictionary(file: Any, metadata: Any, columns: set[str]) -> int:
    """The size of the largest dictionary of these columns in an open Parquet file."""
    largest = 0
    for chunk in chunks_of(metadata, columns):
        file.seek(min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset))
        largest = max(largest, dictionary_bytes(file.read(_HEADER_BYTES)))
    return largest


def chunks_of(metadata: Any, columns: set[str]) -> list[Any]:
    """What a Parquet file's footer says of each piece of these columns."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    return [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]


def _variable_length(content: bytes, at: int) -> tuple[int, int]:
    """A signed number in 7 bits a byte, its sign in the lowest bit; and where the next field begins."""
    number = 0
    for shift in range(_LONGEST_NUMBER):
        number |= (content[at + shift] & 0x7F) << (7 * shift)
        if content[at + shift] < 0x80:
            return (number >> 1) ^ -(number & 1), at + shift + 1
    raise IndexError


def _size(number: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:,.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"
