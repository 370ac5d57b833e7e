"""The program: its verbs, and how errors and signals become messages and exit codes.

Exit codes: 0 done, 1 failure, 2 usage, 3 bad data, 4 done in part, 128 + n stopped by signal n.
"""

import errno
import math
import os
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
import typer.core

from diptych import __version__
from diptych.cli import (
    audit,
    balance,
    cache,
    compare,
    console,
    demo,
    edit,
    embed,
    enroll,
    evaluate,
    explain,
    export,
    fit,
    gallery,
    inspect,
    match,
    pack,
    predict,
    push,
    sample,
    score,
    serve,
    sign,
    trust,
    tune,
    verdict,
    verify,
)
from diptych.cli.options import SETTINGS
from diptych.errors import DiptychError, Interrupted

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
EPILOG = """For a first look: diptych demo. \
On your own pictures, in a folder with one folder of pictures for each class: \
diptych inspect photos/, diptych fit recognizer photos/ -o models/pets, diptych predict models/pets new/. \
Every option can also be set in the environment (--epochs as DIPTYCH_EPOCHS) or in a YAML file (--config); \
options override the environment, and the environment overrides the file."""


class CommandGroup(typer.core.TyperGroup):
    """The verbs in the order in which a person needs them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs' names, in the order in which the help lists them."""
        return [
            "demo",
            "inspect",
            "pack",
            "fit",
            "tune",
            "predict",
            "evaluate",
            "compare",
            "explain",
            "embed",
            "enroll",
            "match",
            "gallery",
            "export",
            "sample",
            "edit",
            "score",
            "balance",
            "audit",
            "verdict",
            "verify",
            "sign",
            "push",
            "trust",
            "serve",
            "cache",
        ]


app = typer.Typer(cls=CommandGroup, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"diptych {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True, context_settings=SETTINGS, epilog=EPILOG)
def diptych(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and warnings.")] = False,
) -> None:
    """Recognise pictures, generate pictures, and let each check the other."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


VERBS = (
    inspect,
    pack,
    fit,
    tune,
    predict,
    evaluate,
    compare,
    explain,
    embed,
    enroll,
    match,
    gallery,
    export,
    sample,
    edit,
    score,
    balance,
    audit,
    verdict,
    verify,
    sign,
    push,
    trust,
    serve,
    cache,
    demo,
)
for verb in VERBS:
    verb.add_to(app)


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    debug = "--debug" in arguments or os.environ.get("DIPTYCH_DEBUG", "0") not in ("", "0")
    console.prepare(debug)
    signal.signal(signal.SIGTERM, _raise_interrupted)
    try:
        # The parts of typer's own main(), which would turn a broken pipe and Ctrl-C into exit code 1.
        command = _command_tree()
        with command.make_context("diptych", arguments) as context:
            command.invoke(context)
        code = 0
    except typer.Exit as ended:
        code = ended.exit_code
    except BrokenPipeError:
        return _close_stdout()
    except (KeyboardInterrupt, typer.Abort):
        console.print_error("Stopped.")
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _print_failure(error)
    return _finish(code)


def _finish(code: int) -> int:
    """End a command that did its work, or part of it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _close_stdout()
    if code in (0, 4):
        console.print_next_step()
    return code


def _raise_interrupted(number: int, frame: object) -> None:
    raise Interrupted("Stopped.", number)


def _command_tree() -> Any:
    """The commands.

    The help names the environment variables once, not at each option; no option takes what is no number, which is
    outside of no range.
    """
    program = typer.main.get_command(app)
    commands = [program]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        for parameter in command.params:
            vars(parameter)["show_envvar"] = False
            parameter.callback = parameter.callback or _refuse_endless
    return program


def _refuse_endless(context: Any, parameter: Any, value: Any) -> Any:
    """The value of an option, unless it is infinite or NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number.", ctx=context, param=parameter)
    return value


def _print_failure(error: Exception) -> int:
    """Print in one sentence what went wrong; returns the exit code."""
    if isinstance(error, DiptychError):
        console.print_error(str(error))
        return error.exit_code
    if hasattr(error, "format_message"):  # typer's usage errors
        return _print_usage_error(error)
    if isinstance(error, OSError) and error.strerror:
        reason = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
        cure = " Make room on that disk; then run the same command again." if error.errno in FULL_DISK else ""
        console.print_error(f"{reason}{cure}")
        return 1
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        console.print_error("There is not enough memory. Choose a smaller --batch or --size.")
        return 1
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    console.print_error(
        f"This is a bug in Diptych ({summary}). Please report it with the output of the same command run "
        "again with DIPTYCH_DEBUG=1."
    )
    return 1


def _print_usage_error(error: Any) -> int:
    context = getattr(error, "ctx", None)
    hint = f" See: {context.command_path} --help" if context else ""
    message = " ".join(error.format_message().split())  # choices come on lines of their own
    console.print_error(f"{message}{'' if message.endswith(('.', '?')) else '.'}{hint}")
    return int(error.exit_code)


def _close_stdout() -> int:
    """End without a message where the program that read the output has ended (``| head``); returns the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it exits
    return 141
