"""The sections of docs/python.md, and their code run."""

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
SCIKIT_LEARN = "scikit-learn"


def run(section: str, names: dict[str, Any]) -> None:
    """Run the Python blocks of a section; ``names`` are the variables that they read and write."""
    for block in re.findall(r"```python\n(.*?)```", SECTIONS[section], flags=re.DOTALL):
        exec(compile(block, f"docs/python.md, {section}", "exec"), names)
