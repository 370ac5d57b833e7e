"""The settings of a run that both panels take from a person, and which of their values are refused."""

from diptych.errors import UsageError


def check_run_settings(
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
) -> None:
    """Refuse a run that has both a time budget and a length, or a setting that is not above 0.

    ``None`` leaves a setting to be chosen.

    Raises
    ------
    UsageError
        Names the setting and what to do.
    """
    if minutes is not None and epochs is not None:
        raise UsageError("Set either minutes (a time budget) or epochs (a length), not both.")
    for name, value in (("minutes", minutes), ("epochs", epochs), ("batch", batch), ("lr", lr)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be above 0, not {value}. Leave it out to have it chosen.")
