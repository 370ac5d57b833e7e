"""The last line of each command names the next one."""

import shlex
from dataclasses import replace
from pathlib import Path

from diptych.cli.next_step import after_no_gain
from diptych.report import Verdict
from tests.cli.conftest import CommandResult, Terminal
from tests.docs.test_commands import parse

Fitted = tuple[Path, list[CommandResult]]


def test_every_command_ends_with_the_next_one(diptych: Terminal, fitted: Fitted, colours: Path, tmp_path: Path) -> None:
    recognizer, gan = fitted[0] / "recognizer", fitted[0] / "gan"
    picture = colours / "red" / "000.png"
    commands = {
        "inspect": ["inspect", colours, "--labels", "folders"],
        "manifest": ["inspect", colours, "--manifest", tmp_path / "table.csv"],
        "fit recognizer": ["fit", "recognizer", colours, "-o", recognizer, "--network", "convnet", "--epochs", 8],
        "fit gan": ["fit", "gan", colours, "-o", gan, "--size", 16, "--epochs", 2],
        "predict": ["predict", recognizer, picture],
        "explain": ["explain", recognizer, picture, "-o", tmp_path / "sheet.png"],
        "embed": ["embed", recognizer, colours, "-o", tmp_path / "vectors.npz", "--labels", "folders"],
        "export": ["export", recognizer, "-o", tmp_path / "file.onnx"],
        "sample": ["sample", gan, "-n", 4, "-o", tmp_path / "samples"],
        "edit": ["edit", "reconstruct", gan, picture, "--label", "red", "-o", tmp_path / "edited"],
    }
    expected = {
        "inspect": ["fit", "recognizer", colours, "--labels", "folders"],
        "manifest": ["fit", "recognizer", colours, "--manifest", tmp_path / "table.csv"],
        "fit gan": ["sample", gan, "-n", 64],
        "predict": ["explain", recognizer, picture],
        "explain": ["evaluate", recognizer, "TEST-PICTURES"],
        "embed": ["inspect", colours, "--labels", "folders"],
        "export": ["predict", tmp_path / "file.onnx", "PICTURES"],
        "sample": ["score", tmp_path / "samples", "--against", "REAL-PICTURES"],
        "edit": ["edit", "interpolate", gan, "PICTURE", "PICTURE"],
    }
    results = dict(zip(commands, diptych.several(*commands.values()), strict=True))
    for name, result in results.items():
        assert result.code == 0, (name, result.err)
        last = result.err.splitlines()[-1]
        assert last.startswith("Next: "), (name, last)
        if name in expected:
            assert last == f"Next: diptych {shlex.join(map(str, expected[name]))}"
            parse([str(word) for word in expected[name]])
        assert "Next: diptych" not in result.out, name
    assert "diptych " in results["fit recognizer"].err.splitlines()[-1]  # what its verdict proposes


def test_a_model_that_gains_nothing_by_more_minutes_is_not_proposed_more() -> None:
    longer = Verdict("useful", "Good.", "", "sort: diptych predict MODEL; or train longer: diptych fit … --more 5")
    unchanged = {"kind": "recognizer", "extensions": [{"result": "extended"}, {"result": "unchanged"}]}
    early = {"kind": "recognizer", "untuned": "Its head is right for 99 %."}
    for facts in (unchanged, early):
        step = after_no_gain(longer, facts).next_step
        assert step.startswith("sort: diptych predict MODEL; more minutes gain nothing")
        assert "--more" not in step
        assert "diptych inspect DATA" in step
    flow = replace(longer, next_step="train longer: diptych fit flow DATA -o MODEL --more 10")
    assert "diptych score MODEL" in after_no_gain(flow, {**unchanged, "kind": "flow"}).next_step
    for facts in ({"kind": "recognizer"}, {"kind": "flow", "extensions": [{"result": "extended"}]}):
        assert after_no_gain(longer, facts) == longer


def test_no_next_step_is_proposed_to_programs_or_after_a_failure(
    diptych: Terminal, fitted: Fitted, colours: Path
) -> None:
    recognizer = fitted[0] / "recognizer"
    for result in diptych.several(
        ["predict", recognizer, colours / "red", "--json"],
        ["predict", recognizer, colours / "red", "-q"],
        ["evaluate", recognizer, colours / "red" / "absent"],
        ["inspect", colours, "--json"],
    ):
        assert "Next:" not in result.err
