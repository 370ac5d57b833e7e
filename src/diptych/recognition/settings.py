"""The settings of a recognizer."""

from typing import Any

from diptych.engine.run_settings import RunSettings
from diptych.settings import declared, setting

AUTOMATIC = "auto"
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
