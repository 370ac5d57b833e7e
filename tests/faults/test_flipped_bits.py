"""Every file of a model, of a run that was killed, of edits and of a gallery with a flipped bit: in ``make faults``.

A command that reads it goes through, or says in a sentence what is damaged; it never ends as a bug.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import COMMANDS, FIT, Cases, no_sentence
from tests.faults.points import Fault

pytestmark = pytest.mark.faults
READERS: dict[str, tuple[str, list[str]]] = {  # the folder whose files are damaged, and a command that reads them
    "predict": ("models/recognizer", ["predict", "models/recognizer", "more"]),
    "sample": ("models/vae", ["sample", "models/vae", "-n", "2", "-o", "out/samples"]),
    "fit again": ("models/vae", ["fit", "vae", "digits", "-o", "models/vae", "--latent", "4", *FIT]),
    "match": ("gallery", ["match", "gallery", "more"]),
    "edit again": ("edited", ["edit", "reconstruct", "models/vae", "digits/0", "-o", "edited"]),
}
FLIPS = ((0.02, 7), (0.5, 4), (0.98, 7))  # where in a file, as a share of it, and which bit

WEIGHTS = "out/model/weights.safetensors"


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[Cases]:
    cases = Cases(tmp_path_factory.mktemp("flips"))
    yield cases
    cases.runner.close()


def flip(path: Path, share: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1 << bit
    path.write_bytes(bytes(content))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("name", READERS)
def test_a_flipped_bit_is_named_or_does_no_harm(name, cases):
    folder, command = READERS[name]
    cases.reset()
    wrong = []
    for path in files_of(cases.below / folder):
        for share, bit in FLIPS:
            cases.reset()
            flip(path, share, bit)
            wrong += [f"{path.name} at {share}: {what}" for what in no_sentence(cases.runner.run(command))]
    assert not wrong, "\n".join(wrong)


def test_a_run_whose_checkpoint_has_a_flipped_bit_goes_on(cases, tmp_path):
    ended, expected = cases.uninterrupted(COMMANDS["fit recognizer"])
    latest = [point for point in ended.points if point.place.endswith("→ out/model/checkpoint/latest")]
    cases.reset()
    cases.runner.run(COMMANDS["fit recognizer"], Fault.KILL, latest[-1].number)
    shutil.copytree(cases.below / "out", tmp_path / "out")
    wrong = []
    for path in files_of(tmp_path / "out"):
        for share, bit in FLIPS:
            cases.reset()
            shutil.copytree(tmp_path / "out", cases.below / "out")
            flip(cases.below / path.relative_to(tmp_path), share, bit)
            again = cases.runner.run(COMMANDS["fit recognizer"])
            what = no_sentence(again)
            if again.status == 0 and cases.files()[WEIGHTS] != expected[WEIGHTS]:
                what.append("other weights")
            wrong += [f"{path.name} at {share}: {one}" for one in what]
    assert not wrong, "\n".join(wrong)
