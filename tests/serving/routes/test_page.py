"""The page's files: they ask no other host for anything, and their policy lets them do what they do and no more."""

import posixpath
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from diptych.serving.routes import page
from docs.tools.offline import site_requests

MAX_SHELL_BYTES = 300_000
SCREENS = ("teach", "recognise", "make", "match", "data", "map", "trust", "verify", "reports")


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.include_router(page.router())
    return TestClient(app)


def test_every_file_is_served_with_its_type(client):
    types = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
    for path in page.page_files():
        answer = client.get(path)
        suffix = ".html" if path == "/" else path[path.rindex(".") :]
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == types[suffix], path


def test_the_page_asks_no_other_host_for_anything(client, tmp_path):
    for number, (path, content) in enumerate(page.page_files().items()):
        if not path.endswith(".svg"):  # which names the address of its language, and asks for nothing
            (tmp_path / f"{number}-{path.rsplit('/', 1)[1] or 'index.html'}").write_bytes(content)
    assert list(site_requests(tmp_path)) == []


def test_no_file_may_compile_code_or_be_framed(client):
    policies = {path: client.get(path).headers["content-security-policy"] for path in page.page_files()}
    assert all(policy.startswith("default-src 'none';") for policy in policies.values())
    assert not [path for path, policy in policies.items() if "unsafe-eval" in policy]
    assert all("frame-ancestors 'none'" in policy for policy in policies.values())


def test_the_scripts_of_the_charts_are_served_as_their_package_has_them(client):
    for path in page.chart_paths():
        answer = client.get(path)
        assert answer.headers["content-type"].startswith("text/javascript")
        assert b"Bokeh Contributors" in answer.content[:3000]


def test_what_the_first_screen_imports_is_asked_for_at_once():
    files = page.page_files()
    preloaded = set(re.findall(r'modulepreload" href="([^"]+)"', files["/"].decode()))
    assert preloaded == {
        path[1:] for path in imported(files, "/page/shell.js") | imported(files, "/page/screens/teach.js")
    }


def imported(files, path):
    """The paths of a module and of all that it imports."""
    found, waiting = set(), [path]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            names = re.findall(r'^import .* from "([^"]+)";', files[module].decode(), flags=re.MULTILINE)
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(module), name)) for name in names]
    return found


def test_the_shell_is_small():
    assert sum(map(len, page.page_files().values())) < MAX_SHELL_BYTES


def test_no_text_becomes_markup():
    code = b"".join(content for path, content in page.page_files().items() if path.endswith(".js"))
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code)


def test_every_word_of_every_screen_is_in_both_languages():
    for name in SCREENS:
        source = page.page_files()[f"/page/screens/{name}.js"].decode()
        table = source[source.index("const WORDS") : source.index("\n};")]
        entries = re.findall(r"^  (\w+): \[", table, flags=re.MULTILINE)
        assert entries, name
        chinese = re.findall(r"[\u4e00-\u9fff]", table)
        assert len(chinese) >= len(entries), name
