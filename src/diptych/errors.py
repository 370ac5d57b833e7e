"""The errors that Diptych raises; each message names the cause and the fix.

::

    DiptychError                 exit code 1
    ├── UsageError               2   a setting or an argument that is not possible
    ├── DataError                3   pictures or labels that cannot be used
    │   └── PictureError         3   one picture that cannot be read
    ├── ArtefactError            3   a folder that is not a model, or not this one
    ├── NotFittedError           1   a model used before ``fit``
    ├── ExportError              1   an exported file whose predictions would differ from its model's
    ├── TrainingError            1   a run that cannot continue (the last good checkpoint is kept)
    └── Interrupted          128+n   a run stopped by signal n, after saving
"""


class DiptychError(Exception):
    """Root of every error that Diptych raises on purpose."""

    exit_code = 1


class UsageError(DiptychError, ValueError):
    """A setting or an argument that is not possible."""

    exit_code = 2


class DataError(DiptychError, ValueError):
    """Pictures or labels that cannot be used."""

    exit_code = 3


class PictureError(DataError):
    """One picture that cannot be read; ``reason`` says why, in plain words."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


class ArtefactError(DiptychError):
    """A folder that is not a saved model, is damaged, or belongs to another run."""

    exit_code = 3


class NotFittedError(DiptychError, AttributeError):
    """A model that is used before it is fitted or loaded."""


class ExportError(DiptychError):
    """An exported file whose predictions would differ from its model's; it is not written."""


class TrainingError(DiptychError):
    """A run that cannot continue, such as one whose loss is NaN or infinite."""


class Interrupted(DiptychError):  # noqa: N818 - the state is the name
    """A run that a signal stopped; its state is saved, and the same command resumes it.

    Attributes
    ----------
    message
        What was stopped; the error's text says also how to go on, if that is known (``how_to_go_on``).
    signal_number
        Of the signal.
    """

    def __init__(self, message: str, signal_number: int, how_to_go_on: str = "") -> None:
        super().__init__(f"{message} {how_to_go_on}".rstrip())
        self.message, self.signal_number = message, signal_number
        self.exit_code = 128 + signal_number
