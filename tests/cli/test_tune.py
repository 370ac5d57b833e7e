"""``diptych tune``: a fitted flow becomes a fast one."""

import json
from pathlib import Path

from tests.cli.conftest import Terminal


def test_a_tuned_flow_samples_in_one_or_two_steps(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    flow, fast = tmp_path / "flow", tmp_path / "flow-tuned"
    commands = [
        ["fit", "flow", colours, "-o", flow, "--size", 8, "--epochs", 1, "--steps", 4],
        ["tune", flow, colours, "--epochs", 1, "--json"],
        ["sample", fast, "-n", 3, "-o", tmp_path / "two", "--json"],
        ["sample", fast, "-n", 3, "--steps", 1, "-o", tmp_path / "one"],
        ["tune", fast, colours, "--epochs", 1],
        ["fit", "gan", colours, "-o", tmp_path / "gan", "--size", 8, "--epochs", 1],
        ["sample", tmp_path / "gan", "-n", 3, "--steps", 1],
        ["tune", tmp_path / "gan", colours],
    ]
    fit, tuned, two, one, again, gan, steps, no_flow = diptych.several(*commands)
    assert "holds a gan; this command needs a flow." in no_flow.err
    assert [result.code for result in (fit, tuned, two, one, gan)] == [0] * 5, tuned.err
    assert tuned.json["folder"] == str(fast)
    assert tuned.json["kind"] == "flow"
    assert tuned.json["verdict"] == "too_short"  # and what to do, instead of offering samples
    assert "trained for 1 step;" in tuned.json["verdict_text"]
    assert "Next: tune that flow for longer: diptych tune FLOW" in tuned.json["verdict_text"]
    assert two.json["pictures"] == 3
    for name, steps_taken in (("one", 1), ("two", 2)):
        assert len(list((tmp_path / name).rglob("0*.png"))) == 3
        record = json.loads((tmp_path / name / "sample.json").read_text(encoding="utf-8"))
        assert record["parameters"]["steps"] == steps_taken
    assert (again.code, "tuned already" in again.err) == (2, True)
    assert (steps.code, "Only a flow" in steps.err) == (2, True)
