"""The errors that Diptych raises, each naming the cause and the cure.

::

    DiptychError                 exit code 1
    ├── UsageError               2   a setting or an argument that cannot be
    ├── DataError                3   pictures or labels that cannot be used
    │   └── PictureError         3   one picture that cannot be read
    ├── ArtefactError            3   a folder that is not a model, or not this one
    ├── NotFittedError           1   a model asked for an answer before ``fit``
    ├── ExportError              1   a file that would not answer as its model does
    ├── TrainingError            1   a run that cannot go on (the last good checkpoint is kept)
    └── Interrupted          128+n   a run stopped by signal n, after saving
"""


class DiptychError(Exception):
    """Root of every error that Diptych raises on purpose."""

    exit_code = 1


class UsageError(DiptychError, ValueError):
    """A setting or an argument that cannot be."""

    exit_code = 2


class DataError(DiptychError, ValueError):
    """Pictures or labels that cannot be used."""

    exit_code = 3


class PictureError(DataError):
    """One picture that cannot be read: ``reason`` says why, in words for a person."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


class ArtefactError(DiptychError):
    """A folder that is not a saved model, is damaged, or belongs to another run."""

    exit_code = 3


class NotFittedError(DiptychError, AttributeError):
    """A model asked for an answer before it was fitted or loaded."""


class ExportError(DiptychError):
    """A file that would not answer as its model does, and so was not written."""


class TrainingError(DiptychError):
    """A run that cannot go on, such as one whose loss is no longer a number."""


class Interrupted(DiptychError):  # noqa: N818 - the state is the name
    """A run stopped by a signal; its state is saved and the same command resumes it."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
