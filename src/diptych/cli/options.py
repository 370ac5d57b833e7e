"""Options that verbs share. Values come from the command line, then DIPTYCH_… variables, then the --config file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from diptych import progress
from diptych.cli import console
from diptych.files import did_you_mean
from diptych.opening import MAX_TEXT_BYTES, read_text
from diptych.settings import Settings, declaration

SETTINGS: dict[str, Any] = {"auto_envvar_prefix": "DIPTYCH", "help_option_names": ["-h", "--help"]}


def _load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Use the file's settings as the verb's defaults; runs before the other options are read."""
    if path is not None:
        context.default_map = {**_read_settings(path, {p.name or "" for p in context.command.params})}
    return path


def _read_settings(path: Path, options: set[str]) -> dict[str, Any]:
    import yaml

    try:
        settings = yaml.safe_load(read_text(path, MAX_TEXT_BYTES))
    except FileNotFoundError:
        raise typer.BadParameter(f"{path} is not there.{did_you_mean(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise typer.BadParameter(f"{path} must have one setting per line, such as: epochs: 10")
    settings = {str(key).replace("-", "_"): value for key, value in settings.items()}
    unknown = sorted(settings.keys() - options)
    if unknown:
        names = ", ".join(sorted(options - {"help", "config", ""}))
        raise typer.BadParameter(f"{path} sets {', '.join(unknown)}, which is no option here. Options: {names}.")
    return settings


def _apply_quiet(quiet: bool) -> bool:
    if quiet:
        progress.hide_bars()
        console.hide_info_messages()
    return quiet


Config = Annotated[
    Path | None,
    typer.Option(
        callback=_load_config, is_eager=True, metavar="FILE", help="Settings as YAML, one per line (epochs: 10)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_apply_quiet, help="No progress bars and notes; warnings stay.")
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of class folders, of pictures such as cat.0.jpg, or with a table of labels; Parquet, Arrow, "
        '.npz, .tar or .zip files; a URL of any of these; or a built-in set: "digits", "mnist-5k", "cifar10".',
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="FROM",
        help="Where labels are: folders, names (of the files), COLUMN, TABLE.csv:COLUMN, or none.  [default: as found]",
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Table of pictures to use, with labels and splits, as diptych inspect writes it."
    ),
]
Gallery = Annotated[Path, typer.Argument(metavar="GALLERY", help="The folder of a gallery.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a model, as `diptych fit` wrote it.")]

On = Annotated[
    str | None,
    typer.Option(
        metavar="CLUSTER",
        help="Compute on a Ray cluster: ray://HOST:PORT, HOST:PORT, or ray (this machine).  [default: here]",
    ),
]
VisibleLabel = Annotated[
    bool,
    typer.Option("--visible-label", help='Also write "AI-generated" into a corner of each picture, from 64 px on.'),
]


def setting_option(settings: type[Settings], name: str) -> Any:
    """The option of a setting, as its rule declares it."""
    kind, _, rule = declaration(settings)[name]
    is_number = kind in (int, float)
    return typer.Option(
        f"--{name.replace('_', '-')}",
        help=rule.help + (f"  [default: {rule.automatic}]" if rule.automatic else ""),
        metavar="|".join(rule.choices) or None,
        min=rule.minimum if is_number else None,
        max=rule.maximum if is_number else None,
    )


def setting_annotation(settings: type[Settings], name: str) -> Any:
    """The annotation of a verb's parameter that is a setting: its type and its option."""
    kind, default, _ = declaration(settings)[name]
    value: Any = str if kind is object else kind
    return Annotated[value if default is not None else value | None, setting_option(settings, name)]
