"""``--on``: a verb's work on a cluster."""

from contextlib import AbstractContextManager, nullcontext


def on_cluster(address: str | None) -> AbstractContextManager[None]:
    """Within the block, the cluster at ``address`` computes; ``None``: this machine.

    Raises
    ------
    UsageError
        It cannot be joined.
    """
    if address is None:
        return nullcontext()
    from diptych.cluster import connected

    return connected(address)
