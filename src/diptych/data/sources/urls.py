"""Which fsspec URLs are followed: a store of a list, and before it what unpacks or copies, each by its name.

fsspec takes any protocol that is installed, and chains them by "::". What is not listed here is refused: some protocols
read a plan of further places from the file itself (``reference``), or run on other machines (``dask``, ``jupyter``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from diptych.errors import DataError, DiptychError

STORES = (
    "abfs", "adl", "az", "file", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "local", "memory", "oss", "s3",
    "s3a", "sftp", "ssh", "webhdfs",
)  # fmt: skip
_PACKAGES = {"http": "aiohttp requests", "https": "aiohttp requests"}  # those of others stand in fsspec's message
_OWN_FAULTS = (MemoryError, LookupError, TypeError, AttributeError, AssertionError)  # not of a store, but of a program
WRAPPERS = ("blockcache", "filecache", "simplecache", "tar", "zip")


@contextmanager
def explained_store(url: str) -> Iterator[None]:
    """Within the block, which opens a URL, what its store raises becomes a sentence: each store has errors of its own.

    Raises
    ------
    DataError
        It cannot be reached, cannot be read, or needs a package.
    """
    try:
        yield
    except (DiptychError, *_OWN_FAULTS):
        raise
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split()).rstrip(".")
        if "range request" in reason:
            raise without_ranges(url) from None
        raise DataError(f"{url} cannot be read: {reason}. Check the address and the network.") from error


def without_ranges(where: str) -> DataError:
    """The error of a server that sends no parts of files."""
    return DataError(
        f"{where}: the server sends whole files where a part is asked for (no HTTP ranges). Download it, or serve it "
        "by another program."
    )


def install_command(url: str) -> str:
    """What installs the package of a URL's store, as a sentence; empty where fsspec's own message says it."""
    package = _PACKAGES.get(url.rpartition("::")[2].partition("://")[0])
    return f" Install it: pip install {package}" if package else ""


def check_url(url: str) -> None:
    """Check each protocol of a URL, before anything is opened.

    Raises
    ------
    DataError
        The URL is not a store, or a path on this machine, behind any number of :data:`WRAPPERS`.
    """
    *wrappers, store = url.split("::")
    wrong = [link.partition("://")[0] for link in wrappers if link.partition("://")[0] not in WRAPPERS]
    if "://" in store and store.partition("://")[0] not in (*STORES, *(() if wrappers else WRAPPERS)):
        wrong.append(store.partition("://")[0])
    if wrong:
        raise DataError(
            f"{url} cannot be opened: {wrong[0]!r} is not a kind of place that pictures are read from. It is one of "
            f"{', '.join(STORES)}; before it and two colons, any of {', '.join(WRAPPERS)}."
        )
