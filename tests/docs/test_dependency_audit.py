"""The audit of dependencies ends as people and schedulers read it; another program stands for pip-audit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "dependency_audit.py"
HEALTHY = {"name": "torch", "version": "2.11", "vulns": []}
VULNERABLE = {"name": "Pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "pillow", "skip_reason": "not found on the index"}


@pytest.mark.parametrize(
    ("packages", "errors", "code", "said"),
    [
        ([HEALTHY, {**VULNERABLE, "vulns": []}], "", 0, "2 packages were audited; none"),
        ([HEALTHY, VULNERABLE], "Found 1 known vulnerability", 1, "Pillow 1.0 is vulnerable: PYSEC-1, fixed in 1.1"),
        ([HEALTHY, SKIPPED], "", 1, "pillow was not audited: not found on the index"),
        ([HEALTHY], "", 1, "pillow was not audited: pip-audit does not mention it"),
        (None, "requests.exceptions.ConnectionError: Max retries exceeded", 4, "The package index does not answer"),
        (None, "invalid requirement", 1, "pip-audit failed: invalid requirement"),
    ],
)
def test_the_exit_code_and_the_sentence(
    tmp_path: Path, packages: list[dict[str, Any]] | None, errors: str, code: int, said: str
) -> None:
    pins, program = tmp_path / "pins.txt", tmp_path / "pip-audit"
    pins.write_text("pillow==1.0\ntorch==2.11\n")
    answer = "" if packages is None else json.dumps({"dependencies": packages})
    program.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\necho '{errors}' >&2\nexit 1\n")
    program.chmod(0o755)
    ended = subprocess.run([sys.executable, str(SCRIPT), str(program), str(pins)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (code, "")
    assert said in ended.stdout
