"""The settings of a run that both panels share."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from diptych.errors import UsageError
from diptych.settings import Settings, check, declared, number, setting, whole

MAX_SEED = 2**32 - 1
MIN_LENGTH = 0.001  # of minutes, epochs
_command_started: ContextVar[float | None] = ContextVar("command_started", default=None)
MINUTES, SEED = number(MIN_LENGTH), whole(0, MAX_SEED)  # as arguments of functions


@declared
class RunSettings(Settings):
    """Length, batch, rate and seed of a run."""

    minutes: float | None = setting(
        "Time budget; training is scheduled to end within it.",
        default=None,
        minimum=MIN_LENGTH,
        automatic="for photographs 5, for a synthesizer 10",
    )
    epochs: float | None = setting("Passes over the pictures (instead of --minutes).", default=None, minimum=MIN_LENGTH)
    batch: int | None = setting("Batch size.", default=None, minimum=1, automatic="the network's")
    lr: float | None = setting(
        "Peak learning rate.", default=None, minimum=1e-12, maximum=100.0, automatic="the network's"
    )
    seed: int = setting(
        "The same seed gives the same model on the same machine.", default=0, minimum=0, maximum=MAX_SEED
    )

    epsilon: float | None = setting(
        "Bound by differential privacy what the model can tell about one training picture: 1 is strict, 8 is usual.",
        default=None,
        minimum=0.05,
        maximum=100.0,
        automatic="no bound",
    )
    delta: float | None = setting(
        "Probability with which that bound may fail.",
        default=None,
        minimum=1e-9,
        maximum=0.01,
        automatic="1e-5, less for many pictures",
    )

    def check_settings(self) -> None:
        """Refuse values out of range, two lengths at once, and what would break the promise of ``epsilon``."""
        super().check_settings()
        check_length(self.minutes, self.epochs)
        if self.delta is not None and self.epsilon is None:
            raise UsageError("delta belongs to epsilon: set both (--epsilon 8 --delta 1e-5), or neither.")
        if self.epsilon is not None and self.minutes is not None:
            raise UsageError(
                "With epsilon the length is set by epochs, not by minutes: the noise is fitted to the number of steps, "
                "which the clock must not change. Leave minutes out, or set epochs (--epochs 60)."
            )


def check_length(minutes: float | None, epochs: float | None = None) -> None:
    """Refuse a run with both a time budget and a length, or one that is out of range; ``None`` leaves it to be chosen.

    Raises
    ------
    UsageError
        Says what to do.
    """
    if minutes is not None and epochs is not None:
        raise UsageError("Set either minutes (a time budget) or epochs (a length), not both.")
    check(RunSettings, "minutes", minutes)
    check(RunSettings, "epochs", epochs)


@contextmanager
def budget_counted_from(moment: float) -> Iterator[None]:
    """Within the block, time budgets begin at this ``time.monotonic()``: a person counts a command from its start.

    By then the libraries of a fit have been loaded and its pictures opened, which may take seconds.
    """
    token = _command_started.set(moment)
    try:
        yield
    finally:
        _command_started.reset(token)


def budget_start() -> float:
    """``time.monotonic()`` at which the time budget of a fit that begins now is counted from."""
    moment = _command_started.get()
    return time.monotonic() if moment is None else moment


def check_seed(seed: int) -> None:
    """Refuse a seed that torch's generators do not take, with a :class:`UsageError`."""
    check(RunSettings, "seed", seed)
