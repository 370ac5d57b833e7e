"""Going on with a finished model on the command line: ``--more`` and ``--from``."""

from pathlib import Path

from tests.cli.conftest import Terminal, folder


def test_a_finished_model_is_trained_further_and_another_starts_from_it(
    diptych: Terminal, colours: Path, tmp_path: Path
) -> None:
    model, other = tmp_path / "model", tmp_path / "other"
    blue = folder(tmp_path / "data", {"red": 12, "blue": 12})
    fit = ["fit", "recognizer", colours, "-o", model, "--network", "convnet", "--epochs", 2]
    too_early, first, more, again, longer, begun = diptych.several(
        [*fit, "--more", 1],
        [*fit, "--json"],
        [*fit, "--more", 0.02, "--json"],
        fit,
        [*fit[:-1], 3],
        ["fit", "recognizer", blue, "-o", other, "--from", model, "--epochs", 1, "--json"],
    )
    assert too_early.code == 2
    assert "Fit it first, by the same command without --more." in too_early.err
    assert first.json["extensions"] == []
    (record,) = more.json["extensions"]
    assert record["minutes"] == 0.02
    assert "Extension 1: 0.02 more minutes" in again.out
    assert longer.code == 2
    assert "--more MINUTES" in longer.err
    assert begun.code == 0, begun.err
    assert begun.json["classes"] == ["blue", "red"]
