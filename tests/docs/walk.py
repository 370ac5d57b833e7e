"""A person's folder with pictures, and the commands of a page run in it one after the other.

The commands are those of the page but for their length: trainings are of one epoch, on small pictures, samples
are few.
"""

import contextlib
import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from diptych.cli.app import run

ROOT = Path(__file__).parents[2]
SIDE = 8  # px, of the pictures
SHORTER = (
    (r"--minutes \S+( --more) \S+", r"--epochs 1\1 0.02"),
    (r"(inspect .*--minutes) \S+", r"\1 0.1"),
    (r"(fit \w+|tune) (.*)--minutes \S+", r"\1 \2--epochs 1"),
    (r"--size 64", f"--size {SIDE}"),
    (r"-n 64", "-n 4"),
    (r"(fit flow .*--epochs 1)\b", r"\1 --steps 2"),
    (r"Flow\(minutes=\d+", "Flow(steps=2, epochs=1"),
    (r"minutes=\d+", "epochs=1"),
    (r"\.sample\(64", ".sample(4"),
    (r"agreement\((\w+), (\w+)\)", r"agreement(\1, \2, per_class=4)"),
    (r"(?m)^(diptych fit (?!.*--(?:minutes|epochs|config)).*?)( +#.*)?$", r"\1 --epochs 1\2"),
)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language, shortened."""
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [shortened(block) for block in found]


def shortened(code: str) -> str:
    """Code with trainings of one epoch."""
    for pattern, replacement in SHORTER:
        code = re.sub(pattern, replacement, code)
    return code


def picture(path: Path, seed: int, base: int) -> None:
    """A noisy picture, dark or bright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = base + np.random.default_rng(seed).integers(0, 60, (SIDE, SIDE, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def persons_folder(folder: Path) -> None:
    """Cats (dark) and dogs (bright) to train on, to test on and new ones."""
    for part, count in (("photos", 20), ("test", 12)):
        for name, base in (("cat", 40), ("dog", 150)):
            for i in range(count):
                picture(folder / part / name / f"{i}.png", count * 100 + base + i, base)
    for i in range(3):
        picture(folder / "new" / f"{i + 1}.jpg", i, 40 if i else 150)


def commands(block: str, folder: Path) -> list[list[str]]:
    """The ``diptych`` commands of a block, without the program's name, patterns expanded as a shell does."""
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [expanded(words[1:], folder) for words in lines if words[:1] == ["diptych"]]


def expanded(words: list[str], folder: Path) -> list[str]:
    """The words, with the files that a pattern stands for."""
    lists = [
        sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [] for word in words
    ]
    return [word for plain, paths in zip(words, lists, strict=True) for word in (paths or [plain])]


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Within the block, relative paths begin in ``folder``."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def walk(page: str, folder: Path, left_out: Collection[str] = ()) -> dict[str, int]:
    """Run the commands of a page in a folder, but for those that hold one of these words; the exit code of each.

    A page shows several ways to fit one model, so the model of an earlier one makes room.
    """
    codes = {}
    with working_in(folder):
        for block in blocks(page, "bash"):
            for words in commands(block, folder):
                if not any(word in shlex.join(words) for word in left_out):
                    if words[0] == "fit" and "--more" not in words:
                        shutil.rmtree(words[words.index("-o") + 1], ignore_errors=True)
                    codes[shlex.join(words)] = run(words)
    return codes
