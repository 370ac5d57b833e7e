"""The header of a model card: YAML in front of the Markdown, in the layout that the Hugging Face hub reads."""

import re
from collections.abc import Mapping
from typing import Any

_HEADER = re.compile(r"\A---\n.*?\n---\n+", flags=re.DOTALL)
_TASKS = {"recognizer": "image-classification", "gallery": "image-feature-extraction"}
_SYNTHESIS = "unconditional-image-generation"


def with_header(card: str, facts: Mapping[str, Any]) -> str:
    """The card with the header that follows from the facts of ``model.json``, in place of an earlier one."""
    import yaml

    network = facts.get("network") or facts.get("parameters", {}).get("network")
    tags = ["diptych", str(facts["kind"]), *([network] if isinstance(network, str) else [])]
    header = {
        "library_name": "diptych",
        "pipeline_tag": _TASKS.get(facts["kind"], _SYNTHESIS),
        "tags": list(dict.fromkeys(tags)),
    }
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n\n{_HEADER.sub('', card, count=1)}"
