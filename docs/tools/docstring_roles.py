"""A Griffe extension: the few reStructuredText marks that docstrings use, as Markdown."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|attr|mod|exc|data):`~?([^`]+)`")
LITERAL_BLOCK = re.compile(r"^(.*)::$", flags=re.MULTILINE)


def as_markdown(text: str) -> str:
    """Roles such as ``:meth:`fit``` become code; ``::`` before an indented block becomes a colon, or nothing."""
    text = ROLE.sub(r"`\1`", text)
    return LITERAL_BLOCK.sub(lambda match: f"{match[1]}:" if match[1].strip() else "", text)


class DocstringRoles(griffe.Extension):
    """Converts each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Convert the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
