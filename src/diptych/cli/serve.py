"""``diptych serve``: serve models over HTTP; its options follow from the server's settings."""

import inspect
import secrets
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Quiet, setting_annotation
from diptych.errors import Interrupted
from diptych.serving.settings import ServerSettings
from diptych.settings import declaration

TOKEN_BYTES = 24
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder whose subfolders are the models.")]


DataFolders = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="Pictures that jobs may read, in place; can be repeated."),
]


OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def serve(
    folder: Path, data: list[Path] | None, open_page: bool, quiet: bool, config: Path | None, **values: Any
) -> None:
    """Serve models over HTTP, and take new pictures and jobs.

    Example: diptych serve models/ --data photos/ --open

    The page at the printed address teaches, recognises, makes, matches and shows pictures.

    Every model in FOLDER is served under its folder's name: POST a picture to /models/NAME/predict. Only this machine
    can reach the server, unless --host names another address; then a token is asked for. SIGTERM and Ctrl-C end it,
    after every accepted request is answered.
    """
    from diptych.serving.listening import check_data, check_home, is_loopback, listen

    check_home(folder)
    check_data(data or ())
    settings = ServerSettings(**{name: value for name, value in values.items() if value is not None})
    listener = listen(settings.host, settings.port)  # a taken port is found out before anything is loaded
    from diptych.serving.app import create_app
    from diptych.serving.server import Server

    token = settings.token or (None if is_loopback(settings.host) else secrets.token_urlsafe(TOKEN_BYTES))
    app = create_app(folder.resolve(), settings, data or (), token)
    page = f"http://{_address(settings.host)}:{settings.port}/{f'#token={token}' if token else ''}"
    console.print_text(f"Diptych serves {folder} at {page}")
    sys.stdout.flush()  # it may be a pipe, and the server runs on
    if open_page:
        webbrowser.open(page)  # which waits until the server answers
    try:
        Server(app, settings).run(sockets=[listener])
        code = 0
    except Interrupted as error:  # uvicorn raises the signal again once everything is answered
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    console.log.info("The server has ended; everything that it had accepted is answered.")
    raise typer.Exit(code)


def _address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _signature() -> inspect.Signature:
    parameters: dict[str, tuple[Any, Any]] = {"folder": (Folder, inspect.Parameter.empty)}
    parameters |= {"data": (DataFolders, None), "open_page": (OpenPage, False)}
    parameters |= {
        name: (setting_annotation(ServerSettings, name), default)
        for name, (_, default, _) in declaration(ServerSettings).items()
    }
    parameters |= {"quiet": (Quiet, False), "config": (Config, None)}
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
            for name, (annotation, default) in parameters.items()
        ]
    )


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    serve.__signature__ = _signature()  # type: ignore[attr-defined]
    app.command(context_settings=SETTINGS, short_help="Serve models over HTTP.")(serve)
