"""Every command is killed, or meets a full or a read-only disk, at each place where it writes: ``make faults``.

The table of what came of it is written to benchmarks/results/faults.md, the rows of a command as soon as it is through.
``FAULTS_COMMANDS`` names some of the commands, separated by ";"; the rows of the others stay as they were.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import COMMANDS, Cases, chosen_points
from tests.faults.points import Fault, Point
from tests.faults.table import keep

pytestmark = pytest.mark.faults
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
CHOSEN = os.environ.get("FAULTS_COMMANDS", ";".join(COMMANDS)).split(";")


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[Cases]:
    cases = Cases(tmp_path_factory.mktemp("faults"))
    yield cases
    cases.runner.close()


def faults_at(point: Point) -> Iterator[Fault]:
    """The faults that a call may meet; a disk that is full, or read-only, from here on refuses each kind of call."""
    yield Fault.KILL
    if point.place.startswith("write"):
        yield Fault.KILL_HALFWAY
    if point.takes_space and not point.place.startswith("fsync"):
        yield Fault.FULL_DISK
    if not point.takes_space:
        yield Fault.READ_ONLY_DISK


@pytest.mark.parametrize("name", CHOSEN)
def test_after_a_fault_at_any_place_the_same_command_ends_as_without_it(name, cases: Cases):
    ended, expected = cases.uninterrupted(COMMANDS[name])
    assert ended.points
    here = [cases.meet(name, f, p, expected) for p in chosen_points(ended.points) for f in faults_at(p)]
    keep(here, RESULTS)
    wrong = [outcome for outcome in here if outcome.wrong]
    assert not wrong, "\n".join(f"{one.fault.name} at {one.place}: {one.wrong}" for one in wrong)
