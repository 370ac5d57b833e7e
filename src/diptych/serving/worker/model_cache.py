"""Models in memory, loaded on first use; the least recently used is dropped for another."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


def _unchanging(_: str) -> Hashable:
    return None


class ModelCache:
    """Up to ``capacity`` models by name.

    Parameters
    ----------
    load
        Gives the model of a name.
    stamp
        Tells states of a name's files apart: a model that is replaced on disk is loaded again.
    live
        Classes of models that see such changes themselves.
    """

    def __init__(
        self,
        load: Callable[[str], Any],
        capacity: int,
        stamp: Callable[[str], Hashable] = _unchanging,
        live: type | tuple[type, ...] = (),
    ) -> None:
        self._load, self._capacity, self._stamp, self._live = load, capacity, stamp, live
        self._models: OrderedDict[str, tuple[Hashable, Any]] = OrderedDict()

    def get(self, name: str) -> Any:
        """The model of this name.

        Raises
        ------
        DiptychError
            What loading raises.
        """
        stamp, cached = self._stamp(name), self._models.get(name)
        if cached is None or (cached[0] != stamp and not isinstance(cached[1], self._live)):
            self._models.pop(name, None)
            while len(self._models) >= self._capacity:
                self._models.popitem(last=False)
            cached = self._models[name] = stamp, self._load(name)
        self._models.move_to_end(name)
        return cached[1]
