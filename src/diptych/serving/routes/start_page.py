"""``/``: the start page, one file that asks no other host for anything."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse


def router() -> APIRouter:
    """The route of the page."""
    routes = APIRouter(include_in_schema=False)
    page = files("diptych.serving").joinpath("page", "start.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": _policy(page),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    @routes.get("/")
    def start_page() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    return routes


def _policy(page: str) -> str:
    """The content security policy: the page's own script and styles, and nothing from elsewhere."""
    sources = {tag: "".join(_sources(page, tag)) for tag in ("script", "style")}
    return (
        f"default-src 'none'; script-src{sources['script']}; style-src{sources['style']}; connect-src 'self'; "
        "img-src blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )


def _sources(page: str, tag: str) -> list[str]:
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
    return [f" 'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" for content in contents]
