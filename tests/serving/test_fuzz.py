"""Thousands of requests that follow the OpenAPI document, and that break it, by schemathesis: ``make fuzz``."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diptych.data.images import Images
from diptych.recognition.gallery.gallery import Gallery
from tests.serving.conftest import ServerProcess, pixels

pytestmark = pytest.mark.fuzz
CASES = 2000
CASES_OF_A_ROUTE = 120
KEPT_METHODS = ("get", "post", "put")  # others would take away what these ask for
NAMES = {"/models/": ["colours", "colours-vae", "things", "absent"], "/datasets/": ["pets", "absent"]}


@pytest.fixture(scope="module")
def fuzzed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a recognizer, a synthesizer, a gallery and a data set."""
    folder = tmp_path_factory.mktemp("fuzzed") / "home"
    shutil.copytree(home, folder)
    red = Images.from_arrays(pixels(0), ["red"] * 12)
    red.save(folder / "data" / "pets")
    Gallery(home / "colours", folder / "things").enroll(red)
    server = ServerProcess(folder)
    yield server
    server.stop()


def document(server: ServerProcess) -> dict[str, Any]:
    """The OpenAPI document, in which names are nearly always those of something that is there."""
    described = server.request("/openapi.json").json
    for path, methods in described["paths"].items():
        names = next((names for prefix, names in NAMES.items() if path.startswith(prefix)), None)
        for method in KEPT_METHODS:
            for parameter in methods.get(method, {}).get("parameters", ()):
                if names and (parameter["name"], parameter["in"]) == ("name", "path"):
                    parameter["schema"] = {"type": "string", "enum": names}
    return described


def test_no_request_of_thousands_is_answered_with_a_500_or_not_at_all(fuzzed: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document(fuzzed)), encoding="utf-8")
    command = [
        *(os.environ["SCHEMATHESIS"], "run", "openapi.json", "--url", f"http://127.0.0.1:{fuzzed.port}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(CASES_OF_A_ROUTE)),
        *("--checks", "not_a_server_error", "--request-timeout", "300", "--continue-on-failure"),
        *("--suppress-health-check", "all"),
        *("--generation-database", "none", "--no-color", "--no-shrink"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    summary = done.stdout[-6000:]
    assert done.returncode == 0, summary
    cases = re.search(r"^ *([\d,]+) generated", done.stdout, flags=re.MULTILINE)
    assert cases is not None, summary
    assert int(cases[1].replace(",", "")) >= CASES, summary
    assert fuzzed.is_ready()
