"""Sections of a model card, which is Markdown."""

import re


def with_section(card: str, heading: str, text: str) -> str:
    """The card with a section, in place of an earlier one of the same heading, or at its end."""
    replaced = replace_section(card, heading, text)
    return replaced if _section(heading).search(card) else f"{card.rstrip()}\n\n## {heading}\n\n{text.strip()}\n"


def replace_section(card: str, heading: str, text: str) -> str:
    """The card with another text in the section of this heading; as it is if it has no such section."""
    return _section(heading).sub(lambda _: f"## {heading}\n\n{text.strip()}\n\n", card)


def _section(heading: str) -> re.Pattern[str]:
    """From a heading to the next one, or to the end."""
    return re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", flags=re.MULTILINE | re.DOTALL)
