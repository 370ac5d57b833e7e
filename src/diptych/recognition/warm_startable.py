"""What ``fit`` does with a finished recognizer: training it further, or starting another one from its weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from torch import nn

from diptych import artefact
from diptych.artefact import Artefact
from diptych.data.images import Images
from diptych.data.training_digests import NONE, Digests, stored_digests
from diptych.engine.distributed import is_leader
from diptych.engine.warm_start.extension import CAPTION, Extension, conclude, extensions_table
from diptych.errors import UsageError
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.named_pictures import NamedPictures
from diptych.recognition.networks import Network
from diptych.recognition.settings import RecognizerSettings
from diptych.recognition.training.extend import extend
from diptych.recognition.training.fit import FitResult
from diptych.recognition.training.warm_start import WarmStart
from diptych.report import Report

KIND = "recognizer"


class WarmStartable(RecognizerSettings, ABC):
    """A recognizer that can be trained further, and that another one can start from."""

    network_: Network
    report_: Report | None
    _facts: dict[str, Any]
    _data: Mapping[str, Any]
    _decision_rule: DecisionRule

    @classmethod
    @abstractmethod
    def from_artefact(cls, saved: Artefact, network: type[nn.Module] | None = None) -> Self:
        """The recognizer of an artefact."""

    @abstractmethod
    def save(self, folder: str | Path) -> Path:
        """Write the model into ``folder``."""

    @abstractmethod
    def _fitted(self) -> Network: ...

    @abstractmethod
    def _restore(self, saved: Artefact) -> Self: ...

    @abstractmethod
    def _adopt_result(self, result: FitResult, settings: dict[str, Any]) -> None: ...

    def validated_on(self) -> NamedPictures:
        """The validation pictures, as far as they are known."""
        validation = self._data.get("validation", {})
        return NamedPictures.read(validation.get("pictures", ()), validation.get("digests"), self._data)

    @property
    def training_digests(self) -> Digests:
        """Of its training pictures, and of those of the model that it started from; empty where they were not saved."""
        self._fitted()
        return stored_digests(self._data) if "digests" in self._data else NONE

    def _start_from(self, start: "str | Path | WarmStartable") -> WarmStart:
        """The start of a run from the weights of another recognizer, loaded or in a folder."""
        if isinstance(start, str | Path):
            start = self.from_artefact(artefact.read(start, KIND), self._network_class)
        if not isinstance(start, WarmStartable):
            raise UsageError(
                f"A recognizer starts from the folder of another one, or from a loaded one, not {start!r}."
            )
        return start._as_start(None, None)

    def _as_start(self, extension: Extension | None, source: WarmStart | None) -> WarmStart:
        """This recognizer as the start of its extension, or (``None``) of another recognizer.

        ``source`` is what this one started from itself.
        """
        network = self._fitted()
        trained = stored_digests(self._data) if extension is None else NONE if source is None else source.trained
        return WarmStart(
            network=network,
            network_class=self._network_class,
            facts=self._facts,
            data=self._data,
            trained=trained,
            extension=extension,
        )

    def _extend(
        self,
        images: Images,
        validate: Images | None,
        folder: Path | None,
        settings: dict[str, Any],
        source: WarmStart | None,
        minutes: float,
        started: float,
    ) -> Self:
        """Train further, or continue to; see :mod:`diptych.engine.warm_start.extension`."""
        extension = Extension.begin(folder, settings, getattr(self, "_facts", None), minutes)
        if folder is not None:
            self._restore(artefact.read(folder, KIND))
        if extension.is_included():
            return self._conclude(folder)
        start = self._as_start(extension, source)
        result, records = extend(start, self._decision_rule, self.parameters(), images, validate, started=started)
        if result is not None:
            self._adopt_result(result, settings)
        self._facts = {**self._facts, "extensions": records}
        if self.report_ is not None:
            self.report_.tables[CAPTION] = extensions_table(records)
        if folder is not None and is_leader():
            self.save(folder)
        return self._conclude(folder)

    def _conclude(self, folder: Path | None) -> Self:
        if folder is not None and is_leader():
            conclude(folder)
        return self

    @property
    def _network_class(self) -> type[nn.Module] | None:
        return self.network if isinstance(self.network, type) else None
