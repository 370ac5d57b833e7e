"""Fail if a built site would ask another host for anything: a script, a style, a font, a picture.

    .venv/bin/python docs/tools/offline.py site

Links that a reader may follow (``<a href>``) are no requests.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

OTHER_HOST = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", flags=re.IGNORECASE)
CSS_REQUEST = re.compile(r"""(?:@import\s+(?:url\()?|url\()\s*["']?((?:https?:)?//[^"')\s]+)""", flags=re.IGNORECASE)
# A script may name an address for many reasons; every address in one is shown unless it is known to be no request.
SCRIPT_ADDRESS = re.compile(r"https?://[^\s\"'`\\)<>]+")
NOT_REQUESTED = ("http://www.w3.org/",)  # names of XML vocabularies
REQUESTS = {"src", "srcset", "poster", "data", "background", "xlink:href", "action", "formaction"}
LINKS_WITHOUT_REQUEST = {"canonical", "next", "prev", "alternate", "license", "author"}


class Page(HTMLParser):
    """Collects what a page asks other hosts for."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes that make a browser fetch something."""
        values = {name: value or "" for name, value in attrs}
        self._inside = tag
        for name, value in values.items():
            if name in REQUESTS and any(OTHER_HOST.match(part) for part in value.split(",")):
                self.requests.append(f"<{tag} {name}={value}>")
        if tag == "link" and not LINKS_WITHOUT_REQUEST & set(values.get("rel", "").split()):
            self.requests += [f"<link href={values['href']}>"] if OTHER_HOST.match(values.get("href", "")) else []
        self.requests += CSS_REQUEST.findall(values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        """Text is code only directly inside of <script> and <style>."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """The text of scripts and styles."""
        if self._inside == "style":
            self.requests += CSS_REQUEST.findall(data)
        elif self._inside == "script":
            self.requests += script_requests(data)


def script_requests(text: str) -> list[str]:
    """The addresses in a script, but for names that only look like one; comments are left out."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return [address for address in SCRIPT_ADDRESS.findall(code) if not address.startswith(NOT_REQUESTED)]


def requests(path: Path) -> list[str]:
    """What a file of the site asks other hosts for."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return CSS_REQUEST.findall(text)
    if path.suffix == ".js":
        return script_requests(text)
    page = Page()
    page.feed(text)
    return page.requests


def site_requests(site: Path) -> Iterator[str]:
    """One line for each request of the site to another host."""
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css", ".js", ".svg"}:
            yield from (f"{path.relative_to(site)}: {request}" for request in requests(path))


if __name__ == "__main__":
    lines = list(site_requests(Path(sys.argv[1])))
    sys.exit("\n".join(["The site would ask other hosts for these:", *lines]) if lines else 0)
