"""The settings of a recognizer."""

from typing import Any

from diptych.engine.run_settings import RunSettings
from diptych.errors import UsageError
from diptych.settings import declared, setting

AUTOMATIC = "auto"
BALANCED, LAST_LAYER, GROUP_DRO = "balanced", "last-layer", "group-dro"
MIN_SIZE = 8  # px: below this, pooling leaves no map


@declared
class RecognizerSettings(RunSettings):
    """See :class:`diptych.recognition.recognizer.Recognizer`."""

    network: Any = setting(
        "auto, convnet, alexnet, speednet, lite0 (pretrained, built in), timm:NAME (pretrained), timm:NAME@PATH "
        "(local weights).",
        default=AUTOMATIC,
        kw_only=False,
    )
    size: int | None = setting(
        "Side length of the pictures in px.", default=None, minimum=MIN_SIZE, automatic="from the data"
    )
    imbalance: str = setting(
        "Correct for classes of uneven size by the method that validates best (auto), or not (none).",
        default=AUTOMATIC,
        choices=(AUTOMATIC, "none"),
    )
    group: str | None = setting(
        "Metadata column whose groups the remedy is to make equally good.", default=None, automatic="none"
    )
    remedy: str | None = setting(
        "Against a shortcut or a worse group: pictures drawn evenly over classes and groups (balanced), the last layer "
        "refitted on pictures drawn so (last-layer), or the worst group's loss minimised (group-dro).",
        default=None,
        choices=(BALANCED, LAST_LAYER, GROUP_DRO),
        automatic="none",
    )

    def check_settings(self) -> None:
        """Refuse values out of range, a remedy without its groups, and one that would break a privacy promise."""
        super().check_settings()
        if (self.group is None) != (self.remedy is None):
            raise UsageError(
                "A remedy and the metadata column of its groups go together: set both remedy and group (--remedy "
                "balanced --group COLUMN), or neither."
            )
        if self.epsilon is not None and self.remedy is not None:
            raise UsageError(
                "A remedy cannot be combined with epsilon: it shows some pictures more often than others, or weighs "
                "them by their losses, and the promise rests on each being drawn with the same probability. Leave out "
                "the remedy, or epsilon."
            )
