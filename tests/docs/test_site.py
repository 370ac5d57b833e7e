"""The documentation site: it asks no other host for anything, and its reference names what exists."""

import importlib
import re
from pathlib import Path

import pytest

import diptych
from docs.tools.offline import site_requests

ROOT = Path(__file__).parents[2]
REFERENCE = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")}
NAMES = sorted({name for text in REFERENCE.values() for name in re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE)})


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_documents_what_exists(name: str) -> None:
    parent, _, member = name.rpartition(".")
    thing = (
        importlib.import_module(name) if name == "diptych.errors" else getattr(importlib.import_module(parent), member)
    )
    assert thing.__doc__


def test_the_reference_documents_every_public_name() -> None:
    packages = {"audit": diptych.audit, "interplay": diptych.interplay}
    functions = {f"diptych.{package}.{name}" for package in packages for name in packages[package].__all__}
    public = {f"diptych.{name}" for name in diptych.__all__ if name not in packages}
    assert public | functions <= set(NAMES)


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= set(re.findall(r": (\S+\.md)$", menu, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/mathjax.js"></script>'),
        ("a.html", "<script async src=//cdn.example/mathjax.js></script>"),
        ("a.html", '<link rel="stylesheet" href="https://fonts.example/css">'),
        ("a.html", '<link rel="preconnect" href="https://fonts.example">'),
        ("a.html", '<img srcset="small.png 1x, https://img.example/large.png 2x">'),
        ("a.html", '<p style="background: url(https://img.example/paper.png)">'),
        ("a.html", '<style>@import "https://fonts.example/css";</style>'),
        ("a.html", '<script>fetch("https://api.example/stars")</script>'),
        ("a.css", "@import url(//fonts.example/css);"),
        ("a.css", "p { background: url('http://img.example/paper.png') }"),
        ("a.js", 'load("https://cdn.example/mermaid.js")'),
    ],
)
def test_a_request_to_another_host_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (line,) = site_requests(tmp_path)
    assert line.startswith(f"{name}: ")
    assert ".example" in line


def test_links_for_readers_and_files_of_the_site_are_no_requests(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="assets/main.css"><link rel="canonical" href="https://diptych.example/">'
        '<script src="../assets/bundle.js"></script><img src="data:image/png;base64,AA//AA==">'
        '<a href="https://keepachangelog.com">a link</a> <code>@import url(https://x.example)</code>'
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text("p { background: url(data:image/svg+xml;charset=utf-8,x) }", encoding="utf-8")
    (tmp_path / "a.js").write_text(
        '/* https://licence.example */ create("http://www.w3.org/2000/svg")', encoding="utf-8"
    )
    assert list(site_requests(tmp_path)) == []
