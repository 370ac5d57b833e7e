"""What surrounds the code agrees with it: the version, the pins, the workflows, the hooks."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

import diptych

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def document(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_version_has_one_place_and_the_citation_agrees() -> None:
    assert "version" in PROJECT["dynamic"]
    assert document("CITATION.cff")["version"] == diptych.__version__


def test_every_dependency_is_pinned_by_name_and_version_alone() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    pinned = {normal(pin.split("==")[0]) for pin in pins}
    extras = [name for names in PROJECT["optional-dependencies"].values() for name in names]
    required = {normal(re.match(r"[A-Za-z0-9._-]+", name)[0]) for name in [*PROJECT["dependencies"], *extras]}
    assert required - {"diptych"} <= pinned


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_workflows_run_targets_that_exist_by_actions_of_a_major_version() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in document(path.relative_to(ROOT).as_posix())["jobs"].values():
            for step in job["steps"]:
                if "uses" in step:
                    assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"]), path
                if step.get("run", "").startswith("make "):
                    assert step["run"].removeprefix("make ") in TARGETS, path


def test_every_supported_python_is_checked() -> None:
    versions = document(".github/workflows/ci.yml")["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert versions[0] == PROJECT["requires-python"].removeprefix(">=")
    classified = {name.split(" :: ")[-1] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)}
    assert classified == set(versions)


def test_hooks_need_no_network() -> None:
    assert {repository["repo"] for repository in document(".pre-commit-config.yaml")["repos"]} == {"local"}


def test_the_mechanisms_that_the_security_page_names_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text))
    assert len(named) > 10
    assert {path for path in named if not (ROOT / "src" / "diptych" / path).exists()} == set()
