"""``/`` and ``/page/…``: the web page, whose files ask no other host for anything.

Charts are drawn by Bokeh, of whose package two scripts are served as they are.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import guess_type

from fastapi import APIRouter
from fastapi.responses import Response

FOLDER = "page"
INDEX = "index.html"
CHART_SCRIPTS = ("bokeh.min.js", "bokeh-api.min.js")  # of Bokeh's package, below /page/
# Reports are shown in frames that have this policy too, and style themselves; scripts are the page's own alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; frame-src 'self' blob:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
KEPT_FOR_AN_HOUR = "private, max-age=3600"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@cache
def page_files() -> dict[str, bytes]:
    """The files of the page by their paths on the server; "/" is its first."""
    found = {f"/{FOLDER}/{path}": content for path, content in _files(files("diptych.serving").joinpath(FOLDER), "")}
    return {"/": found.pop(f"/{FOLDER}/{INDEX}"), **found}


def router() -> APIRouter:
    """A route for each file."""
    routes = APIRouter(include_in_schema=False)
    for path, content in page_files().items():
        kind = "text/html" if path == "/" else guess_type(path)[0]
        routes.add_api_route(path, _sender(content, str(kind)), methods=["GET"])
    for name in CHART_SCRIPTS:
        routes.add_api_route(f"/{FOLDER}/{name}", _chart_script(name), methods=["GET"])
    return routes


def chart_paths() -> list[str]:
    """The paths of Bokeh's scripts on the server."""
    return [f"/{FOLDER}/{name}" for name in CHART_SCRIPTS]


def _chart_script(name: str) -> Callable[[], Response]:
    def send() -> Response:
        script = files("bokeh").joinpath("server", "static", "js", name).read_bytes()
        return Response(script, media_type="text/javascript", headers={**HEADERS, "Cache-Control": KEPT_FOR_AN_HOUR})

    return send


def _sender(content: bytes, kind: str) -> Callable[[], Response]:
    def send() -> Response:
        return Response(content, media_type=kind, headers={**HEADERS, "Content-Security-Policy": POLICY})

    return send


def _files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    """All files in a folder of the package and in those within, by their relative paths."""
    return [
        entry
        for child in sorted(folder.iterdir(), key=lambda child: child.name)
        for entry in (
            _files(child, f"{prefix}{child.name}/")
            if child.is_dir()
            else [(f"{prefix}{child.name}", child.read_bytes())]
        )
    ]
