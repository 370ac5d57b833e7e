"""Settings of a model, declared once: a dataclass whose fields say their default, their range and what they mean.

::

    @declared
    class FlowSettings(RunSettings):
        guidance: float = setting("Guidance scale.", default=2.0, minimum=0)

From the declaration follow the constructor, the options of ``diptych fit``, ``model.json`` and the errors. A value is
checked when the model is constructed and again when it is fitted, and never changed. ``None`` leaves a setting to be
chosen, where that is its default.

Numbers that a function takes are declared in the same terms, and refused before it reads or writes anything::

    @numbers(steps=whole(2), reach=number(0, 10))
    def traverse(self, images, *, steps=7, reach=3.0): ...
"""

import dataclasses
import difflib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ParamSpec, Self, TypeVar, dataclass_transform, get_args, get_type_hints

from diptych.errors import UsageError

Declared = TypeVar("Declared")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Rule:
    """What a setting means, and which values it takes besides ``None``.

    Attributes
    ----------
    help
        What it is, in a sentence, for the command line.
    minimum, maximum, multiple
        Of a number; what is no finite number is never taken.
    choices
        Of a text; empty: any.
    automatic
        What ``None`` means, in a few words, for the command line.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    multiple: int = 1
    choices: tuple[str, ...] = ()
    automatic: str = ""


def setting(meaning: str, *, default: Any, kw_only: bool = True, **limits: Any) -> Any:
    """A field of a class of settings; ``limits`` are those of :class:`Rule`."""
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"rule": Rule(meaning, **limits)})


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(setting,))
def declared(settings: type[Declared]) -> type[Declared]:
    """Decorate a class of settings."""
    return dataclass(eq=False, repr=False)(settings)


@declared
class Settings:
    """A dataclass of settings; see the module."""

    def __post_init__(self) -> None:
        self.check_settings()

    def check_settings(self) -> None:
        """Refuse values that a setting cannot have.

        Raises
        ------
        UsageError
            Names the setting, its range and the value.
        """
        for name, value in self.parameters().items():
            check(type(self), name, value)

    def parameters(self) -> dict[str, Any]:
        """The settings by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name, as scikit-learn asks for them; there are none within, so ``deep`` changes nothing."""
        return self.parameters()

    def set_params(self, **values: Any) -> Self:
        """Change settings, as scikit-learn does; they count from the next fit on.

        Raises
        ------
        UsageError
            There is no such setting, or its value is out of range.
        """
        for name, value in values.items():
            check(type(self), name, value)
        for name, value in values.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        settings = changed(type(self), self.parameters())
        arguments = [f"{k}={v.__name__ if isinstance(v, type) else repr(v)}" for k, v in settings.items()]
        return f"{type(self).__name__}({', '.join(arguments)})"


def declaration(settings: type[Settings]) -> Mapping[str, tuple[type, Any, Rule]]:
    """Of each setting: its type, its default, and its rule."""
    types = get_type_hints(settings)
    return {
        field.name: (_value_type(types[field.name]), field.default, field.metadata["rule"])
        for field in dataclasses.fields(settings)
    }


def changed(settings: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not their settings' defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    return {name: value for name, value in values.items() if value != defaults[name]}


def check(settings: type[Settings], name: str, value: Any) -> None:
    """Refuse a value that the setting of this name cannot have; see :meth:`Settings.check_settings`."""
    settings_by_name = declaration(settings)
    if name not in settings_by_name:
        close = difflib.get_close_matches(name, settings_by_name, n=1)
        suggestion = f" Did you mean {close[0]}?" if close else ""
        raise UsageError(f"There is no setting {name}.{suggestion} The settings are: {', '.join(settings_by_name)}.")
    kind, default, rule = settings_by_name[name]
    if value is None and default is None:
        return
    if not _is_allowed(kind, rule, value):
        advice = "Leave it out to have it chosen." if default is None else f"It is {default} where it is left out."
        raise UsageError(f"{name} must be {_range(kind, rule)}, not {value!r}. {_nearest(rule, value)}{advice}")


@dataclass(frozen=True)
class Range:
    """The numbers that an argument takes: its type, and its rule."""

    kind: type
    rule: Rule


def whole(minimum: int, maximum: int | None = None) -> Range:
    """Whole numbers, from ``minimum`` on."""
    return Range(int, Rule("", minimum=minimum, maximum=maximum))


def number(minimum: float, maximum: float | None = None) -> Range:
    """Finite numbers, from ``minimum`` on."""
    return Range(float, Rule("", minimum=minimum, maximum=maximum))


def numbers(**ranges: Range) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorate a function: it refuses, before anything else, a number that an argument of these names cannot be.

    ``None`` is left to the function, as is a call with the wrong arguments. The function raises a :class:`UsageError`
    that names the argument, its range and the value.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        parameters = inspect.signature(function).parameters.values()
        names = [one.name for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]

        @functools.wraps(function)
        def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            for name, value in (*zip(names, args, strict=False), *kwargs.items()):
                if name in ranges and value is not None:
                    check_number(name, value, ranges[name])
            return function(*args, **kwargs)

        vars(checked)["ranges"] = ranges
        return checked

    return decorate


def check_number(name: str, value: Any, allowed: Range) -> None:
    """Refuse a number that is not within a range.

    Raises
    ------
    UsageError
        Names the argument, the range and the value.
    """
    if not _is_allowed(allowed.kind, allowed.rule, value):
        raise UsageError(f"{name} must be {_range(allowed.kind, allowed.rule)}, not {value!r}.")


def _value_type(annotation: Any) -> type:
    """``int`` of ``int | None``."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    return next((kind for kind in kinds if kind in (int, float, str)), object)


def _is_allowed(kind: type, rule: Rule, value: Any) -> bool:
    if kind is object:  # the class itself checks it
        return True
    if kind is str:
        return isinstance(value, str) and (not rule.choices or value in rule.choices)
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        return False
    number = float(value)
    above = math.isfinite(number) and (rule.minimum is None or number >= rule.minimum)
    within = above and (rule.maximum is None or number <= rule.maximum)
    return within and (rule.multiple == 1 or number % rule.multiple == 0)


def _range(kind: type, rule: Rule) -> str:
    if kind is str:
        return f"one of {', '.join(rule.choices)}" if rule.choices else "a text"
    words = "a whole number" if kind is int else "a number"
    if rule.multiple > 1:
        words = f"a multiple of {rule.multiple}"
    if rule.maximum is not None:
        return f"{words} from {_number(rule.minimum)} to {_number(rule.maximum)}"
    return words if rule.minimum is None else f"{words}, {_number(rule.minimum)} or more"


def _number(value: float | None) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _nearest(rule: Rule, value: Any) -> str:
    """The nearest values that are allowed, where a whole number has to be a multiple."""
    if rule.multiple == 1 or not isinstance(value, Integral) or rule.minimum is None or rule.maximum is None:
        return ""
    lower, upper, number = int(rule.minimum), int(rule.maximum), int(value)
    below = min(max(number // rule.multiple * rule.multiple, lower), upper)
    above = min(max(below + rule.multiple, lower), upper)
    return f"The nearest is {below}. " if not lower <= number <= upper else f"The nearest are {below} and {above}. "
