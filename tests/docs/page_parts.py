"""The parts of a Markdown page."""

import re
from pathlib import Path

CODE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def text(page: Path) -> str:
    """The whole page."""
    return page.read_text(encoding="utf-8")


def links(page: Path) -> list[tuple[str, str]]:
    """The words and the target of each link, and of each picture."""
    whole = text(page)
    ends = re.finditer(r"\]\(([^)\s]+)\)", whole)
    return [(whole[whole.rfind("[", 0, end.start()) + 1 : end.start()], end[1]) for end in ends]


def anchors(page: Path) -> list[str]:
    """The headings of a page as GitHub makes them into anchors."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text(page)), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def code_without_comments(page: Path) -> list[tuple[str, list[str]]]:
    """The language and the lines of each code block."""
    return [
        (language, [line.split("#")[0].rstrip() for line in block.splitlines()])
        for language, block in CODE.findall(text(page))
    ]


def sections_without_code(page: Path) -> list[str]:
    """What stands before the first heading, and each heading with the text below it."""
    return re.split(r"^(?=#+ )", CODE.sub("", text(page)), flags=re.MULTILINE)
