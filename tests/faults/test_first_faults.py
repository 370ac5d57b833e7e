"""Some commands that are killed, or meet a full disk, at a place of each kind; ``make faults`` goes through all."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.cases import COMMANDS, PREPARATIONS, Cases
from tests.faults.points import Fault, role

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are put before the calls of Linux's C library")
FAULTS = {  # by command: each fault, and what the place at which it happens ends with
    "calibrate, save": [
        (Fault.KILL, "→ models/recognizer/model.json"),
        (Fault.FULL_DISK, "/replacement/.*.draft"),
    ],
    "save pictures": [(Fault.KILL_HALFWAY, "/N.png"), (Fault.FULL_DISK, "/N.png")],
    "gallery rename": [(Fault.FULL_DISK, "/data/.tmp*")],
    "server: upload": [(Fault.FULL_DISK, "data/.drafts/*"), (Fault.KILL, "→ data/pets/cat/third.png")],
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[Cases]:
    needed = [PREPARATIONS[0], PREPARATIONS[1], PREPARATIONS[4], "prepare_server"]
    cases = Cases(tmp_path_factory.mktemp("faults"), needed, everything=False)
    yield cases
    cases.runner.close()


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_the_same_command_ends_as_without_it(name, cases):
    ended, expected = cases.uninterrupted(COMMANDS[name])
    for fault, place in FAULTS[name]:
        at = [point for point in ended.points if point.place.endswith(place)]
        if fault is Fault.KILL_HALFWAY:
            at = [point for point in at if point.place.startswith("write")]
        outcome = cases.meet(name, fault, at[0], expected)
        assert not outcome.wrong, outcome
        assert outcome.first == "killed" if fault is not Fault.FULL_DISK else "space" in outcome.first


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("out/.3f9a0c5d7e21.draft", "out/.*.draft"),
        ("out/checkpoint/.000000032.4711/state.pt", "out/checkpoint/.N.N/state.pt"),
        (
            "gallery/database/pictures-a1a9818c2e481333-ccd37521.lance/data/.tmpycnwRw",
            "gallery/database/pictures-*.lance/data/.tmp*",
        ),
        ("data/.drafts/3f9a0c5d7e213f9a", "data/.drafts/*"),
    ],
)
def test_files_of_one_kind_are_one_place(path, kind):
    assert role(path) == kind
