"""Hooks of MkDocs: the repository's own pages in the site, links into the repository, and formulas as MathML.

The pages under docs/ and the README are written to be read on GitHub: they link to source files, and write formulas as
GitHub does. The site shows each linked file as a page of its own, so that it is complete without the repository, and
converts the formulas when it is built, so that the reader's browser needs no script for them.
"""

import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
FIRST_PAGES = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
MATH = re.compile(r"^```math\n(.*?)^```$|\$`(.+?)`\$", flags=re.MULTILINE | re.DOTALL)
PLACE = "formula-{}-place"  # a word that Markdown leaves as it is
# What the theme's scripts would ask on pages with diagrams or with the address of a repository, and in old browsers.
OTHER_HOSTS = ("https://unpkg.com", "https://api.github.com", "https://${e}/api/v4", "https://bit.ly")

_formulas: dict[str, list[str]] = {}


def site_path(path: str) -> str:
    """Where the site has a file or folder of the repository; both relative to their roots."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"repository/{path}/index.md"
    return f"repository/{path}" if path.endswith((".md", ".png")) else f"repository/{path}.md"


def linked(path: str) -> list[str]:
    """The files and folders of the repository that a Markdown file links to."""
    targets = [match[1] for match in LINK.finditer((ROOT / path).read_text(encoding="utf-8"))]
    paths = [posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) for target in targets]
    return [target for target in paths if (ROOT / target).exists()]


def page_text(path: str) -> str:
    """A file or folder of the repository as Markdown: itself, a list of files, or its text as code."""
    if (ROOT / path).is_dir():
        names = sorted(item.name for item in (ROOT / path).iterdir() if item.suffix in {".md", ".py"})
        return f"# {path}\n\n" + "\n".join(f"- [{name}]({name})" for name in names) + "\n"
    text = (ROOT / path).read_text(encoding="utf-8")
    language = "python" if path.endswith(".py") else "text"
    return text if path.endswith(".md") else f"# {path}\n\n````{language}\n{text}\n````\n"


def mathml(formula: str, display: str) -> str:
    """Convert a formula, and space the names of functions as TeX does."""
    text = convert(formula.replace(r"\arg", r"\mathrm{arg}\,"), display=display)
    text = re.sub(r"(?<=</mi>|</mn>)<mi>log</mi>", '<mspace width="0.167em" /><mi>log</mi>', text)
    return re.sub(r"<mi>log</mi>(?=<m[^o])", '<mi>log</mi><mspace width="0.167em" />', text)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the repository's own pages, and all that they and the pages under docs/ link to."""
    waiting = [*FIRST_PAGES, *(f"docs/{page.src_uri}" for page in files.documentation_pages())]
    added: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in added:
            continue
        added.add(path)
        if path.endswith(".png"):
            if not path.startswith("docs/"):
                files.append(File.generated(config, site_path(path), content=(ROOT / path).read_bytes()))
            continue
        if not path.startswith("docs/"):
            page = File.generated(config, site_path(path), content=page_text(path))
            page.repository_path = path
            files.append(page)
        if path.endswith(".md"):
            waiting += linked(path)
        elif (ROOT / path).is_dir():
            waiting += [f"{path}/{item.name}" for item in (ROOT / path).iterdir() if item.suffix in {".md", ".py"}]
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Turn links into the repository into links within the site, and set formulas aside."""
    source = getattr(page.file, "repository_path", f"docs/{page.file.src_uri}")
    folder = source if (ROOT / source).is_dir() else posixpath.dirname(source)

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        if not (ROOT / target).exists():
            return match[0]
        return f"]({posixpath.relpath(site_path(target), posixpath.dirname(page.file.src_uri))}{match[2] or ''})"

    formulas = _formulas.setdefault(page.file.src_uri, [])

    def place(match: re.Match[str]) -> str:
        formulas.append(mathml(match[1] or match[2], "block" if match[1] else "inline"))
        return PLACE.format(len(formulas) - 1)

    if not source.endswith(".md"):  # a source file is shown as it is
        return markdown if not (ROOT / source).is_dir() else LINK.sub(link, markdown)
    return LINK.sub(link, MATH.sub(place, markdown))


def on_page_content(html: str, *, page: Any, config: Any, files: Files) -> str:
    """Put the formulas in their places."""
    formulas = _formulas.pop(page.file.src_uri, [])
    return re.sub(PLACE.format(r"(\d+)"), lambda match: formulas[int(match[1])], html)


def on_post_build(*, config: Any) -> None:
    """Take other hosts out of the theme's scripts, and its word lists for searching in languages that are not here."""
    scripts = Path(config["site_dir"]) / "assets" / "javascripts"
    shutil.rmtree(scripts / "lunr", ignore_errors=True)
    for path in scripts.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        for host in OTHER_HOSTS:
            text = text.replace(host, "about:blank#")
        path.write_text(text, encoding="utf-8")
