"""Which fsspec URLs are followed: a store of a list, and before it what unpacks or copies, each by its name.

fsspec takes any protocol that is installed, and chains them by "::". What is not listed here is refused: some protocols
read a plan of further places from the file itself (``reference``), or run on other machines (``dask``, ``jupyter``).
"""

from diptych.errors import DataError

STORES = (
    "abfs", "adl", "az", "file", "ftp", "gcs", "gs", "hdfs", "hf", "http", "https", "local", "memory", "oss", "s3",
    "s3a", "sftp", "ssh", "webhdfs",
)  # fmt: skip
WRAPPERS = ("blockcache", "filecache", "simplecache", "tar", "zip")


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
