"""The image is built from files that the project has, all of which reach the build."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_is_copied_into_the_image_exists_and_is_not_left_out():
    steps = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sources = {source.removeprefix("./") for step in steps for source in step.split()[:-1]}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line.startswith("!")}
    assert sources == kept
    assert all((ROOT / source).exists() for source in sources)


def test_the_server_in_the_image_is_not_run_by_root():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert text.index("\nUSER diptych\n") < text.index("\nENTRYPOINT ")
