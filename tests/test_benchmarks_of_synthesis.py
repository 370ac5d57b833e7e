"""The benchmarks of synthesis: their parts run with small settings; tables and verdicts report the measurements."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import Images
from tests.noise import write_noise

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def photographs_synthesis(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("photographs_synthesis")


def test_held_out_photographs_are_not_trained_on(photographs_synthesis: ModuleType, tmp_path: Path) -> None:
    for name, count in (("cat", 160), ("dog", 60)):
        (tmp_path / "all" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "all" / name / f"{i:03d}.png").write_bytes(b"a picture")
    train, held_out = photographs_synthesis.lay_out(tmp_path / "all", tmp_path)
    unseen, trained = ({path.relative_to(top) for path in top.rglob("*.png")} for top in (held_out, train))
    assert unseen == {Path("cat/049.png"), Path("cat/149.png"), Path("dog/049.png")}
    assert len(trained) == 217
    assert not unseen & trained


def test_models_are_trained_once_and_sample_and_reconstruct(photographs_synthesis: ModuleType, tmp_path: Path) -> None:
    write_noise(tmp_path / "all", 60)
    train, held_out = photographs_synthesis.lay_out(tmp_path / "all", tmp_path)
    model = tmp_path / "vae-8-0.05"
    row = photographs_synthesis.fit("vae", train, model, 8, 0.05)
    assert row == photographs_synthesis.fit("vae", train, model, 8, 0.05)
    assert photographs_synthesis.sample(model, 8).shape == (48, 8, 8, 3)
    reconstructions, seconds = photographs_synthesis.reconstruct(model, held_out, 8)
    originals = photographs_synthesis.pixels(held_out, 8)
    error = photographs_synthesis.rms_difference(reconstructions, originals)
    row.update(error=error, n=len(reconstructions), reconstruction_seconds=seconds)
    assert 0 < row["error"] < 255
    assert photographs_synthesis.table([row])[2].startswith("| VAE | ")
    photographs_synthesis.save_grid(tmp_path / "deep" / "grid.png", [originals, reconstructions], 2)
    with Image.open(tmp_path / "deep" / "grid.png") as sheet:
        assert sheet.width == sheet.height


@pytest.fixture
def synthesis(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("cifar10_synthesis")


@pytest.fixture
def tutorial(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("tutorial_dcgan")


@pytest.fixture
def flow_rate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("flow_rate")


def test_verdicts_of_known_folders_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    benchmark = importlib.import_module("score_verdicts")
    write_noise(tmp_path / "all", 120)
    assert benchmark.lay_out(tmp_path / "all", tmp_path / "work") == 20
    counts = {folder.name: len(list(folder.glob("*.png"))) for folder in (tmp_path / "work").iterdir()}
    assert counts["train"] >= counts["copies"] == counts["held-out"] == counts["noise"] == counts["one-repeated"] > 20
    originals, copies = (Images.open(tmp_path / "work" / name).pixels(20) for name in ("train", "copies"))
    assert torch.equal(originals[: len(copies)], copies)
    figures = {key: {"value": 0.5} for key in ("precision", "recall", "coverage", "kernel_distance")}
    cost = {"pictures": {"generated": 30, "real": 30}, "seconds": 20.0, "cpu_seconds": 30.0}
    rows = [
        {"set": "pets", "folder": name, "verdict": word, "right": word in benchmark.EXPECTED[name], **figures, **cost}
        for name, word in (("noise", "noise"), ("copies", "close"))
    ]
    assert benchmark.table(rows)[3].startswith("| pets | copies | 30 against 30 | close | NO |")
    assert benchmark.summary(rows)[0].startswith("- 1 of 2 verdicts are right.")


def _scored(part: str, distance: float, judge: str = "a1") -> dict[str, object]:
    cost = {"seconds": 1200.0, "seen_pictures": 400_000, "calls": 1, "sampling_seconds": 5.0, "peak_megabytes": 900.0}
    score = {"distance": distance, "low": distance - 1, "high": distance + 1, "n": 5000, "judge": judge}
    return {"part": part, "program": part, **cost, **score}


def test_only_models_scored_by_the_same_judge_are_compared(synthesis: ModuleType) -> None:
    old = [_scored("dcgan", 90.0), _scored("vae", 70.0, judge="b2"), _scored("gan", 60.0)]
    new = [{"part": "judge", "program": "speednet", "validation": 0.9}, _scored("gan", 40.0)]
    rows = synthesis.merge_rows(old, new, "a1")
    assert [(row["part"], row.get("distance")) for row in rows] == [("judge", None), ("dcgan", 90.0), ("gan", 40.0)]
    assert synthesis.verdicts(rows) == [
        "- Aim: at most half of the tutorials' distance. gan: 0.44 of it.",
    ]
    assert synthesis.table(rows)[3] == "| gan | 40.0 | 39.0 to 41.0 | 5000 | 1200 | 400,000 | 1 | 1.0 | 900 |"


def test_few_step_sampling_is_compared_with_the_flow_s_many_steps(synthesis: ModuleType) -> None:
    many, two = {**_scored("flow", 60.0), "calls": 62}, {**_scored("tuned", 90.0), "calls": 2}
    assert synthesis.verdicts([many, two]) == ["- tuned: 1.50 times the flow's distance in 62."]


def test_step_rates_are_compared_by_their_medians(synthesis: ModuleType) -> None:
    rates = {"torchcfm": (50.0, 90.0, 60.0), "Diptych": (120.0, 90.0, 60.0)}
    rows = [
        {"part": "rate", "program": name, "rate": rate, "parameters": 4_000_000, "machine": "CPU"}
        for name, rounds in rates.items()
        for rate in rounds
    ]
    assert synthesis.verdicts(rows) == ["- Aim: 1.3 times torchcfm's training pictures a second. Diptych: 1.50 times."]
    assert "120.0, 90.0, 60.0 | 90.0" in synthesis.rate_table(rows)[3]


def test_the_tutorials_dcgan_steps_both_players_and_samples_pictures(tutorial: ModuleType) -> None:
    torch.manual_seed(0)
    model = tutorial.Tutorial()
    before = [[p.clone() for p in player.parameters()] for player in (model.generator, model.critic)]
    losses = model.step(torch.rand(8, 3, 32, 32) * 2 - 1)
    assert all(0.1 < loss < 5 for loss in losses)
    for player, before_step in zip((model.generator, model.critic), before, strict=True):
        assert all(not torch.equal(now, then) for now, then in zip(player.parameters(), before_step, strict=True))
    pictures = model.sample(130)
    assert (pictures.shape, pictures.dtype) == ((130, 32, 32, 3), np.uint8)
    assert pictures.std() > 1


def test_diptych_s_network_in_the_rate_benchmark_is_no_smaller_and_runs(flow_rate: ModuleType) -> None:
    width = flow_rate.width_for(500_000, 2, 3)
    sizes = [flow_rate.parameters(flow_rate._unet(candidate, 2, 3)) for candidate in (width - 16, width)]
    assert sizes[0] < 500_000 <= sizes[1]
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    images = Images.from_arrays(pixels, np.arange(64) % 3, classes=("a", "b", "c"))
    row = flow_rate.diptych_rate(images, 8, 4, seconds=0.1)
    assert row["rate"] > 1
    assert row["parameters"] == flow_rate.parameters(flow_rate._unet(8, 4, 3))
    assert flow_rate.step_rate(lambda rows: None, 64, 0.01) > 1000


@pytest.fixture
def synthesis_gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("cifar10_synthesis_gpu")


def test_rows_are_ordered_by_minutes_and_tuned_flows_follow_their_flow(synthesis_gpu: ModuleType) -> None:
    score = {"low": 1.0, "high": 90.0, "cas": 0.5, "calls": 62, "samples_a_second": 1234.5}
    rows = [
        {"name": "real-pictures", "distance": 0.5, **score},
        *(
            {
                "name": f"{kind}-{m}",
                "kind": kind,
                "minutes": m,
                "distance": 60.0 / m,
                **({"seen_pictures": 9, "rate": 1e4} if kind == "flow" else {}),  # counting its operations takes long
                **score,
            }
            for kind in ("flow", "gan", "vae")
            for m in (10.0, 1.0)
        ),
        {"name": "flow-1.0-tuned", "kind": "flow", "minutes": 1.0, "tuned": 2.0, "steps": 2, "distance": 90.0, **score},
    ]
    rows = [{**row, "name": row["name"].replace(".0", "")} for row in rows]
    lines = synthesis_gpu.table(rows)
    assert [line.split(" | ")[:2] for line in lines[2:6]] == [
        ["| training pictures", ""],
        ["| Flow", "1"],
        ["| Flow", "1, tuned 2 more"],
        ["| Flow", "10"],
    ]
    assert lines[5].split(" | ")[7] == f"{1e4 * synthesis_gpu.flops(rows[1]) / synthesis_gpu.PEAK_FLOPS:.1%}"
    assert synthesis_gpu.verdicts(rows) == [
        "- Aim: CAS of 75 % by the flow after 10 minutes. After 10 it is 50.0%.",
        "- Aim: 1.3 times the distance in 2 calls. It is 1.50 times that in 62.",
    ]


def test_the_operations_of_a_training_step_cover_its_convolutions(synthesis_gpu: ModuleType) -> None:
    operations = {kind: synthesis_gpu.flops({"kind": kind, "minutes": 1}) for kind in ("flow", "gan", "vae")}
    forward_pass = 2 * 3 * 3 * 128 * 128 * 32 * 32  # of one of the flow's convolutions at full size
    assert operations["flow"] > 3 * forward_pass
    assert operations["vae"] < operations["gan"] < operations["flow"]
