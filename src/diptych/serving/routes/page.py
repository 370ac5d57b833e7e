"""``/`` and ``/page/…``: the web page, whose files ask no other host for anything.

The map is drawn by plotly, of whose package the script is served as it is. It compiles code as it runs, so it has a
document of its own, shown in a frame, and only that document may.
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
PLOT = f"/{FOLDER}/plot.html"
PLOTLY = f"/{FOLDER}/plotly.min.js"
# Reports are shown in frames that have this policy too, and style themselves; scripts are the page's own alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; frame-src 'self' blob:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
PLOT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
)
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
        policy = PLOT_POLICY if path == PLOT else POLICY
        routes.add_api_route(path, _sender(content, str(kind), policy), methods=["GET"])

    @routes.get(PLOTLY)
    def plotly() -> Response:
        script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
        return Response(
            script, media_type="text/javascript", headers={**HEADERS, "Cache-Control": "private, max-age=3600"}
        )

    return routes


def _sender(content: bytes, kind: str, policy: str) -> Callable[[], Response]:
    def send() -> Response:
        return Response(content, media_type=kind, headers={**HEADERS, "Content-Security-Policy": policy})

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
