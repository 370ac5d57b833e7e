"""What a gallery embeds with: a pretrained backbone by its name, or a recognizer, of which the gallery keeps a copy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from diptych import artefact, tensor_files
from diptych.artefact import Artefact
from diptych.backbones.timm_backbone import is_pretrained
from diptych.errors import ArtefactError, UsageError
from diptych.files import did_you_mean
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.recognizer import Recognizer

COPY = "recognizer.safetensors"  # the recognizer's weights, in the gallery's folder


@dataclass(frozen=True)
class EmbeddingSource:
    """An embedder, and where it comes from.

    Attributes
    ----------
    embedder
        Turns pictures into vectors.
    recognizer
        The facts of the recognizer whose network it is; ``None``: a pretrained backbone as it is.
    """

    embedder: Embedder
    recognizer: dict[str, Any] | None = None

    @classmethod
    def of(cls, source: "Recognizer | str | Path") -> "EmbeddingSource":
        """Of a recognizer, its folder, or the name of a backbone.

        Raises
        ------
        UsageError
            There is neither such a folder nor such a backbone.
        ArtefactError
            The folder holds no recognizer.
        """
        if isinstance(source, Recognizer):
            return cls._of_recognizer(source, "a recognizer")
        if Path(source).exists():
            recognizer = Recognizer.from_artefact(artefact.read(source, "recognizer"))
            return cls._of_recognizer(recognizer, f"the recognizer {Path(source).resolve().name}")
        if not is_pretrained(str(source)):
            raise UsageError(
                f"{source} is neither the folder of a recognizer nor a backbone.{did_you_mean(source)} Name a folder "
                "that diptych fit wrote, or one of: lite0, lite1, lite2, timm:NAME."
            )
        return cls(Embedder.from_backbone(str(source)))

    @classmethod
    def of_gallery(cls, saved: Artefact, network: type[nn.Module] | None = None) -> "EmbeddingSource":
        """That of a saved gallery.

        Raises
        ------
        ArtefactError
            The weights are not those that its pictures were embedded with.
        """
        facts, copied = saved.facts["embedder"], saved.facts["recognizer"]
        if copied is None:
            source = cls(Embedder.from_backbone(facts["name"], facts["size"]))
        else:
            if COPY not in saved.extra:
                raise artefact.damaged(saved.folder / COPY, "it is missing")
            recognizer = Recognizer.from_artefact(Artefact(saved.folder, copied, {}, saved.extra[COPY], {}), network)
            source = cls._of_recognizer(recognizer, facts["name"])
        if source.embedder.sha256 != facts["sha256"]:
            raise ArtefactError(
                f"The pictures in {saved.folder} were embedded with other weights of {facts['name']} than those here, "
                f"and the two cannot be compared. Embed them again with: diptych gallery rebuild {saved.folder}"
            )
        return source

    @classmethod
    def _of_recognizer(cls, recognizer: Recognizer, name: str) -> "EmbeddingSource":
        return cls(Embedder(recognizer.network_, recognizer.size_, name), recognizer.facts_)

    def facts(self) -> dict[str, Any]:
        """What a gallery stores of it, for ``model.json``."""
        return {"embedder": self.embedder.facts(), "recognizer": self.recognizer}

    def files(self) -> dict[str, bytes]:
        """The files of it that a gallery keeps, by name."""
        return {} if self.recognizer is None else {COPY: tensor_files.pack(self.embedder.network.state_dict())}
