"""The command line in real processes, and the small data and models that its tests share."""

import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

FORKED = Path(__file__).with_name("forked.py")


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON object that it printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON objects that it printed, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Terminal:
    """Runs ``diptych`` in processes of their own, without a terminal."""

    def __init__(self) -> None:
        self._forked = subprocess.Popen(
            [sys.executable, str(FORKED)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *arguments: object, **environment: str) -> CommandResult:
        """The program itself, as a person starts it."""
        command = [sys.executable, "-m", "diptych", *map(str, arguments)]
        completed = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300, check=False
        )
        return CommandResult(completed.returncode, completed.stdout, completed.stderr)

    def several(self, *commands: Sequence[object]) -> list[CommandResult]:
        """Run several commands one after the other in one process, without a start's seconds; see forked.py."""
        words = [[str(word) for word in command] for command in commands]
        request = {"commands": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        self._forked.stdin.write(json.dumps(request) + "\n")
        self._forked.stdin.flush()
        answers = []
        while isinstance(answer := json.loads(self._forked.stdout.readline()), list):
            answers.append(CommandResult(*answer))
        assert (answer, len(answers)) == (0, len(commands)), f"the process ended with {answer} after {answers}"
        return answers

    def close(self) -> None:
        self._forked.communicate()  # closes both pipes, which ends it


def trained_pictures(model: Path) -> int:
    """How many pictures a model was trained on."""
    data = json.loads((model / "data.json").read_text(encoding="utf-8"))
    return len(b64decode(data["digests"])) // 8


@pytest.fixture(scope="session")
def diptych() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def picture(colour: str, seed: int, side: int = 16) -> Image.Image:
    """A noisy picture that is mostly red, green or blue."""
    pixels = np.random.default_rng(seed).integers(0, 90, (side, side, 3)).astype(np.uint8)
    pixels[..., ["red", "green", "blue"].index(colour)] += 150
    return Image.fromarray(pixels)


def folder(path: Path, counts: dict[str, int]) -> Path:
    """A folder of class folders."""
    for i, (name, count) in enumerate(counts.items()):
        (path / name).mkdir(parents=True, exist_ok=True)
        for j in range(count):
            picture(name if name in ("red", "green", "blue") else "blue", 1000 * i + j).save(
                path / name / f"{j:03d}.png"
            )
    return path


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("data") / "colours", {"red": 24, "green": 24})


@pytest.fixture(scope="session")
def fitted(diptych: Terminal, colours: Path) -> tuple[Path, list[CommandResult]]:
    """A folder with a recognizer and a GAN of the colours, and the output of fitting each of them twice."""
    place = colours.parent
    recognizer = ["fit", "recognizer", colours, "-o", place / "recognizer", "--network", "convnet", "--epochs", 8]
    gan = ["fit", "gan", colours, "-o", place / "gan", "--size", 16, "--epochs", 2]
    return place, diptych.several([*recognizer, "--json"], recognizer, [*gan, "--json"], [*gan, "-q"])
