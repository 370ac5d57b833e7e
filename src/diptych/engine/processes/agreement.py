"""Whether all processes are about to train the same run: on hosts that see other files, they would not be."""

from collections.abc import Mapping
from typing import Any

from diptych.engine.distributed import ProcessGroup
from diptych.errors import UsageError

MEANINGS = {
    "data": "the pictures",
    "validation": "the validation pictures",
    "pictures seen": "the last checkpoint",
}


def agree(group: ProcessGroup, facts: Mapping[str, Any]) -> None:
    """Refuse to train where the processes differ in what they are about to train.

    Parameters
    ----------
    facts
        The run's settings, the fingerprints of its pictures included, and where it continues.

    Raises
    ------
    UsageError
        On every process alike; names what differs, and between which of them.
    """
    gathered = group.gather_objects({name: repr(value) for name, value in facts.items()})
    first = gathered[0]
    for rank, other in enumerate(gathered):
        names = sorted(name for name in {*first, *other} if first.get(name) != other.get(name))
        if names:
            what = ", ".join(MEANINGS.get(name, f"{name} ({first.get(name)} and {other.get(name)})") for name in names)
            raise UsageError(
                f"Processes 0 and {rank} do not train the same run; what differs: {what}. On every host give the same "
                "command, the same pictures, and an output folder that all hosts share."
            )
