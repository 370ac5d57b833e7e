"""No number that cannot be is found out after work has begun: not in the library, not on the command line."""

import inspect
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

import diptych
from diptych.cli.app import _command_tree
from diptych.errors import UsageError

NUMBERS = (int, float, int | None, float | None, "int", "float", "int | None", "float | None")
CHECKED_OTHERWISE = {  # where a class of settings, or several arguments at once, decide
    "i", "GAN.sampled_with steps", "GAN.sampled_with guidance", "VAE.sampled_with steps", "VAE.sampled_with guidance",
    "Flow.with_steps steps", "Flow.sampled_with steps", "Flow.sample steps", "Flow.tune minutes", "Flow.tune epochs",
    "Gallery.match k", "Gallery.match far", "Gallery.match_pair far", "Gallery.match_threshold far",
    "Images.split shares",
}  # fmt: skip


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions and methods, by name."""
    for name in diptych.__all__:
        thing = getattr(diptych, name)
        if inspect.isclass(thing):
            members = inspect.getmembers(thing, inspect.isfunction)
            yield from ((f"{name}.{key}", member) for key, member in members if not key.startswith("_"))
        elif isinstance(thing, types.ModuleType):
            yield from ((f"{name}.{key}", getattr(thing, key)) for key in getattr(thing, "__all__", ()))
        elif callable(thing):
            yield name, thing


def numeric_arguments() -> Iterator[tuple[str, Callable[..., Any], str]]:
    for name, function in callables():
        for argument, parameter in inspect.signature(function).parameters.items():
            if parameter.annotation in NUMBERS and not {argument, f"{name} {argument}"} & CHECKED_OTHERWISE:
                yield name, function, argument


UNFITTED = {"GAN": diptych.GAN(), "VAE": diptych.VAE(), "Flow": diptych.Flow()}


def test_every_number_that_a_public_function_takes_is_checked_before_it_does_anything():
    for name, function, argument in numeric_arguments():
        required = {
            key: None
            for key, parameter in inspect.signature(function).parameters.items()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        }
        if "self" in required:
            required["self"] = UNFITTED.get(name.partition(".")[0])
        for value in (math.nan, math.inf, -math.inf, -1, "3", True):
            with pytest.raises(UsageError, match=f"^{argument} must be "):
                function(**{**required, argument: value})


def test_numbers_that_settings_decide_on_are_refused_as_well():
    flow = diptych.Flow()
    for value in (math.nan, math.inf, -1, 0):
        for call in (
            lambda value: flow.with_steps(value),
            lambda value: flow.sample(1, steps=value),
            lambda value: flow.sampled_with(steps=value),
            lambda value: flow.tune("nowhere", minutes=value),
            lambda value: flow.tune("nowhere", epochs=value),
        ):
            with pytest.raises(UsageError, match="must be"):
                call(value)


def options() -> Iterator[tuple[list[str], Any, str, type]]:
    """The verb, the command and the name of each option that takes a number."""
    tree = _command_tree()
    verbs = [([name], command) for name, command in tree.commands.items()]
    for words, command in verbs:
        verbs += [([*words, name], part) for name, part in getattr(command, "commands", {}).items()]
        for parameter in command.params:
            if parameter.type_descriptor.annotation in (int, float):
                yield words, command, parameter.opts[0], parameter.type_descriptor.annotation


def test_no_verb_takes_a_number_that_cannot_be():
    found = list(options())
    assert len(found) > 40
    taken = []
    for words, command, option, kind in found:
        for value in ["nan", "inf", "-inf", "-1"] if kind is float else ["nan", "-1", "1.5"]:
            try:
                command.make_context(" ".join(words), [f"{option}={value}"])
                taken.append((*words, option, value))
            except typer.BadParameter as error:
                if error.param.opts[0] != option:
                    taken.append((*words, option, value))
    assert not taken
