"""What the benchmarks measure with: seconds, memory with that of child processes, counts and verdicts."""

import importlib
import json
import shlex
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diptych.data.images import Images

FOLDER = Path(__file__).parents[1] / "benchmarks"
HOLD = "import time; held = b'x' * 60_000_000; time.sleep(0.5)"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("measure")


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("common")


@pytest.fixture
def classic_cnn(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("classic_cnn")


def test_a_process_is_timed_and_its_memory_counted(measure: ModuleType) -> None:
    found = measure.run([sys.executable, "-c", f"{HOLD}; print('done')"], {})
    assert found.stdout == "done\n"
    assert 0.5 < found.seconds < 10
    assert 60e6 < found.peak_bytes < 120e6


def test_memory_of_children_is_counted_too(measure: ModuleType) -> None:
    parent = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {HOLD!r}]); {HOLD}; child.wait()"
    assert measure.run([sys.executable, "-c", parent], {}).peak_bytes > 120e6


def test_a_program_that_fails_stops_the_benchmark(measure: ModuleType) -> None:
    with pytest.raises(SystemExit, match="exit code 3"):
        measure.run([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_training_is_told_apart_from_what_comes_before(common: ModuleType, tmp_path: Path) -> None:
    records = [{"seconds": 5.0 + 10 * share, "progress": share} for share in (0.05, 0.5, 1.0)]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert common.training_seconds(tmp_path) == pytest.approx(10)


def test_parameters_are_counted_from_the_file(common: ModuleType, tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(3, 4), "b": torch.zeros(5), "c": torch.zeros(())}
    save_file(tensors, tmp_path / "weights.safetensors")
    assert common.parameters(tmp_path) == 12 + 5 + 1


def test_the_verdict_compares_the_means_for_each_length(classic_cnn: ModuleType) -> None:
    base = {"seed": 0, "n": 1000, "training_seconds": 1.0, "peak_megabytes": 800.0, "parameters": 122_570}
    rows = [
        {**base, "side": "Keras", "epochs": 10, "hits": 680, "accuracy": 0.68, "seconds": 200.0},
        {**base, "side": "Diptych", "epochs": 10, "hits": 700, "accuracy": 0.70, "seconds": 80.0},
        {**base, "side": "Diptych", "epochs": 5, "hits": 690, "accuracy": 0.69, "seconds": 50.0},
    ]
    assert classic_cnn.verdict(rows).startswith(
        "Diptych takes in 10 epochs 40% of the time, +2.00 points of accuracy; "
        "in 5 epochs 25% of the time, +1.00 points of accuracy. Both"
    )
    assert classic_cnn.table(rows)[2].startswith("| Keras | 10 | 0 | 68.00% | 65.04% to 70.82% | 1000 | 200.0 |")


def test_a_page_holds_the_command_the_table_and_the_machine(
    common: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, runs = tmp_path / "deep" / "found", [{"side": "ours", "seconds": 1.5}]
    told = common.table(["program", "seconds"], [[row["side"], row["seconds"]] for row in runs])
    common.publish(out, "Title", "About it.", told, "python it.py", machine={"cores": "2"}, runs=runs)
    page = out.with_suffix(".md").read_text()
    assert page == (
        "# Title\n\n    python it.py\n\nAbout it.\n\n"
        "| program | seconds |\n| --- | --- |\n| ours | 1.5 |\n\n- cores: 2\n"
    )
    assert capsys.readouterr().out == page + "\n"
    kept = json.loads(out.with_suffix(".json").read_text())
    assert kept == {"command": "python it.py", "machine": {"cores": "2"}, "runs": runs}


@pytest.fixture
def throughput(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("predict_throughput")


def test_photographs_are_made_of_the_given_ones(throughput: ModuleType, tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (60, 48), colour).save(tmp_path / f"{name}.png")
    throughput.photographs(tmp_path, tmp_path / "made", 3)
    made = [Image.open(path) for path in sorted((tmp_path / "made").iterdir())]
    assert len(made) == 3
    assert all(260 < min(picture.size) < 340 for picture in made)
    reds = [picture.getpixel((5, 5))[0] > 100 for picture in made]
    assert reds == [True, False, True]


def test_answers_of_two_programs_are_compared(throughput: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("path,label,confidence\nx/1.jpg,cat,0.9000\nx/2.jpg,dog,0.5001\n")
    one = throughput.answers(tmp_path / "one.csv")
    assert one == {"1.jpg": ("cat", 0.9), "2.jpg": ("dog", 0.5001)}
    found = throughput.agreement(one, {"1.jpg": ("cat", 0.8999), "2.jpg": ("cat", 0.5)})
    assert (found["same_labels"], found["surest_different"]) == (1, 0.5001)
    rows = [
        {"side": side, "pair": pair, "seconds": seconds, "pictures": 1000, "peak_megabytes": 900.0}
        for side, times in (("timm + DataLoader", (20.0, 25.0, 24.0)), ("Diptych", (10.0, 8.0, 12.0)))
        for pair, seconds in enumerate(times)
    ]
    words = throughput.verdict(rows, found)
    assert words.startswith("Medians: 41.7 and 100.0 pictures a second; Diptych is 2.40 times as fast.")
    assert "on 1 of 2 pictures (cat 1, dog 1)" in words
    with pytest.raises(SystemExit, match="different pictures"):
        throughput.agreement(one, {})


def test_the_cure_of_uneven_classes_is_judged_run_by_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    imbalance = importlib.import_module("imbalance")
    base = {"frequent": 0.9, "rare": 0.7, "chosen": "", "seconds": 9.6}
    rows = [
        {**base, "seed": seed, "arm": arm, "balanced_accuracy": score}
        for seed, scores in enumerate(((0.80, 0.92), (0.86, 0.90)))
        for arm, score in zip(("plain", "cured"), scores, strict=True)
    ]
    assert imbalance.table(rows)[2] == "| plain | 0 | 80.0% | 90.0% | 70.0% |  | 10 |"
    assert imbalance.verdict(rows).endswith("+8.0 points on average, +4.0 at least (not 5 points every time).")


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("cifar10_recognition")


@pytest.fixture
def photographs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("photographs_from_scratch")


def _row(part: str, program: str, hits: int, seconds: float) -> dict[str, object]:
    same = {"n": 1000, "validation": None, "training_seconds": seconds / 2, "peak_megabytes": 900.0, "processor": "P"}
    return {"part": part, "program": program, "hits": hits, "seconds": seconds, **same}


def test_parts_left_out_keep_their_rows_and_each_has_a_sentence(cifar10: ModuleType) -> None:
    old = [_row("quick", "Keras, 10 epochs", 670, 136.0), _row("92", "Diptych", 900, 2000.0)]
    new = [_row("quick", "Keras, 10 epochs", 671, 160.0), _row("quick", "Diptych a", 690, 16.0)]
    rows = cifar10.together(old, new)
    assert [row["hits"] for row in rows] == [671, 690, 900]
    quick, last = cifar10.verdicts(rows)
    assert quick.endswith(
        "It came to 69.00% after 16 s; Keras, 10 epochs to 67.10% after 160 s, so that Diptych takes 1/10.00 of the "
        "time (of training alone 1/10.00)."
    )
    assert last.endswith("It came to 90.00% after 2000 s.")
    first = cifar10.table(rows)[2]
    assert first.startswith("| quick | Keras, 10 epochs |  | 67.10% |")
    assert first.endswith(" | P |")


def test_a_rehearsal_cuts_the_length_alone(cifar10: ModuleType) -> None:
    assert cifar10.shared(cifar10.PARTS["86"].dials, 0.1) == ["--minutes", "0.38"]


def test_a_peer_is_given_the_files_and_its_last_line_is_read(cifar10: ModuleType, tmp_path: Path) -> None:
    peer = tmp_path / "peer.py"
    peer.write_text("import sys; print('begun'); print('{\"hits\": %d, \"n\": 9}' % len(sys.argv[1:]))")
    row = cifar10.peer_row(f"{sys.executable} {peer}", tmp_path / "a", tmp_path / "b")
    assert (row["hits"], row["n"], row["training_seconds"]) == (2, 9, None)


def _noise(folder: Path, count: int) -> None:
    """So many pictures of cats and of dogs."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(0, 256, (24, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")


def test_photographs_are_split_once_and_every_one_is_there(photographs: ModuleType, tmp_path: Path) -> None:
    _noise(tmp_path / "all", 20)
    photographs.lay_out(tmp_path / "all", tmp_path / "parts", 0)
    found = [path.relative_to(tmp_path / "parts") for path in sorted((tmp_path / "parts").rglob("*.png"))]
    assert len(found) == len({path.parts[1:] for path in found}) == 40
    assert sum(path.parts[0] == "test" for path in found) == 8


def test_whoever_is_ahead_is_said_so(photographs: ModuleType) -> None:
    rows = [{"program": "fastai resnet18", "hits": 78, "n": 100}, {"program": "Diptych speednet", "hits": 89, "n": 100}]
    assert photographs.verdict(rows) == "In equal minutes Diptych comes to 89.00%, fastai to 78.00%: +11.00 points."


@pytest.fixture
def makers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("photographs_synthesis")


def test_photographs_set_aside_are_trained_on_by_nobody(makers: ModuleType, tmp_path: Path) -> None:
    for name, count in (("cat", 160), ("dog", 60)):
        (tmp_path / "all" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "all" / name / f"{i:03d}.png").write_bytes(b"a picture")
    train, aside = makers.lay_out(tmp_path / "all", tmp_path)
    kept, trained = ({path.relative_to(top) for path in top.rglob("*.png")} for top in (aside, train))
    assert kept == {Path("cat/049.png"), Path("cat/149.png"), Path("dog/049.png")}
    assert len(trained) == 217
    assert not kept & trained


def test_makers_are_fitted_once_and_sample_and_reconstruct(makers: ModuleType, tmp_path: Path) -> None:
    _noise(tmp_path / "all", 60)
    train, aside = makers.lay_out(tmp_path / "all", tmp_path)
    model = tmp_path / "vae-8-0.05"
    row = makers.fitted("vae", train, model, 8, 0.05)
    assert row == makers.fitted("vae", train, model, 8, 0.05)
    assert makers.sampled(model, 8).shape == (48, 8, 8, 3)
    again, seconds = makers.reconstructed(model, aside, 8)
    seen = makers.pixels(aside, 8)
    row.update(error=makers.error(again, seen), n=len(again), reconstruction_seconds=seconds)
    assert 0 < row["error"] < 255
    assert makers.table([row])[2].startswith("| VAE | ")
    makers.save_grid(tmp_path / "deep" / "grid.png", [seen, again], 2)
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


def _scored(part: str, distance: float, judge: str = "a1") -> dict[str, object]:
    spent = {"seconds": 1200.0, "seen_pictures": 400_000, "calls": 1, "sampling_seconds": 5.0, "peak_megabytes": 900.0}
    score = {"distance": distance, "low": distance - 1, "high": distance + 1, "n": 5000, "judge": judge}
    return {"part": part, "program": part, **spent, **score}


def test_makers_are_compared_in_the_eyes_of_one_judge(synthesis: ModuleType) -> None:
    old = [_scored("dcgan", 90.0), _scored("vae", 70.0, judge="b2"), _scored("gan", 60.0)]
    new = [{"part": "judge", "program": "speednet", "validation": 0.9}, _scored("gan", 40.0)]
    rows = synthesis.together(old, new, "a1")
    assert [(row["part"], row.get("distance")) for row in rows] == [("judge", None), ("dcgan", 90.0), ("gan", 40.0)]
    assert synthesis.verdicts(rows) == [
        "- Aim: half of the tutorials' distance at most. gan comes to 0.44 of it.",
    ]
    assert synthesis.table(rows)[3] == "| gan | 40.0 | 39.0 to 41.0 | 5000 | 1200 | 400,000 | 1 | 1.0 | 900 |"


def test_few_calls_are_told_beside_the_flow_s_many(synthesis: ModuleType) -> None:
    many, few = {**_scored("flow", 60.0), "calls": 62}, {**_scored("tuned", 90.0), "calls": 2}
    assert synthesis.verdicts([many, few]) == ["- tuned: 1.50 times the flow's distance by 62."]


def test_steps_are_compared_by_their_medians(synthesis: ModuleType) -> None:
    rates = {"torchcfm": (50.0, 90.0, 60.0), "Diptych": (120.0, 90.0, 60.0)}
    rows = [
        {"part": "rate", "program": name, "rate": rate, "parameters": 4_000_000, "machine": "CPU"}
        for name, some in rates.items()
        for rate in some
    ]
    assert synthesis.verdicts(rows) == ["- Aim: 1.3 times torchcfm's training pictures a second. Diptych: 1.50 times."]
    assert "120.0, 90.0, 60.0 | 90.0" in synthesis.rate_table(rows)[3]


def test_the_tutorials_dcgan_steps_both_players_and_makes_pictures(tutorial: ModuleType) -> None:
    torch.manual_seed(0)
    made = tutorial.Tutorial()
    before = [[p.clone() for p in player.parameters()] for player in (made.generator, made.critic)]
    losses = made.step(torch.rand(8, 3, 32, 32) * 2 - 1)
    assert all(0.1 < loss < 5 for loss in losses)
    for player, held in zip((made.generator, made.critic), before, strict=True):
        assert all(not torch.equal(now, then) for now, then in zip(player.parameters(), held, strict=True))
    pictures = made.sample(130)
    assert (pictures.shape, pictures.dtype) == ((130, 32, 32, 3), np.uint8)
    assert pictures.std() > 1


def test_our_side_of_the_rate_is_no_smaller_and_runs(flow_rate: ModuleType) -> None:
    width = flow_rate.width_for(500_000, 2, 3)
    sizes = [flow_rate.parameters(flow_rate._unet(some, 2, 3)) for some in (width - 16, width)]
    assert sizes[0] < 500_000 <= sizes[1]
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    images = Images.from_arrays(pixels, np.arange(64) % 3, classes=("a", "b", "c"))
    row = flow_rate.diptych_rate(images, 8, 4, seconds=0.1)
    assert row["rate"] > 1
    assert row["parameters"] == flow_rate.parameters(flow_rate._unet(8, 4, 3))
    assert flow_rate.timed(lambda rows: None, 64, 0.01) > 1000


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("cifar10_synthesis_gpu")


def test_distance_is_told_by_minutes_and_tuning_beside_the_flow_it_came_from(on_a_gpu: ModuleType) -> None:
    score = {"low": 1.0, "high": 90.0, "cas": 0.5, "calls": 62, "samples_a_second": 1234.5}
    rows = [
        {"name": "real-pictures", "distance": 0.5, **score},
        *(
            {
                "name": f"{kind}-{m}",
                "kind": kind,
                "minutes": m,
                "distance": 60.0 / m,
                "seen_pictures": 9,
                "rate": 1e4,
                **score,
            }
            for kind in ("flow", "gan", "vae")
            for m in (10.0, 1.0)
        ),
        {"name": "flow-1.0-tuned", "kind": "flow", "minutes": 1.0, "tuned": 2.0, "steps": 2, "distance": 90.0, **score},
    ]
    rows = [{**row, "name": row["name"].replace(".0", "")} for row in rows]
    told = on_a_gpu.table(rows)
    assert [line.split(" | ")[:2] for line in told[2:6]] == [
        ["| training pictures", ""],
        ["| Flow", "1"],
        ["| Flow", "1, tuned 2 more"],
        ["| Flow", "10"],
    ]
    assert told[5].split(" | ")[7] == f"{1e4 * on_a_gpu.flops(rows[1]) / on_a_gpu.PEAK_FLOPS:.1%}"
    assert on_a_gpu.verdicts(rows) == [
        "- Aim: CAS of 75 % by the flow after 10 minutes. After 10 it is 50.0%.",
        "- Aim: 1.3 times the distance in 2 calls. It is 1.50 times that in 62.",
    ]


def test_operations_of_a_training_step_are_those_of_its_convolutions(on_a_gpu: ModuleType) -> None:
    counted = {kind: on_a_gpu.flops({"kind": kind, "minutes": 1}) for kind in ("flow", "gan", "vae")}
    forward_alone = 2 * 3 * 3 * 128 * 128 * 32 * 32  # of one of the flow's convolutions at full size
    assert counted["flow"] > 3 * forward_alone
    assert counted["vae"] < counted["gan"] < counted["flow"]


def test_runs_on_a_gpu_are_told_as_means_and_their_first_one_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    race = importlib.import_module("cifar10_recognition_gpu")
    lines = [{"warmup": 60.0}, {"hits": 90, "n": 100, "seconds": 2.0}, {"hits": 92, "n": 100, "seconds": 4.0}]
    program = f"import json; print('epoch 1'); [print(json.dumps(line)) for line in {lines!r}]"
    row = race.measured(shlex.join([sys.executable, "-c", program]), "other", "94")
    assert race.table([row])[2] == "| 94 | other | 2 | 91.00% | 1.00% | 3.00 | 1.00 | 60 |"


def test_im2col_is_compared_with_torch_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    im2col = importlib.import_module("im2col")
    monkeypatch.setattr(im2col, "PICTURES", 16)
    turns: list[str] = []
    told = im2col.compared("both", lambda: turns.append("torch"), lambda: turns.append("im2col"), 2)
    assert turns == ["torch", "im2col"] * 3
    assert told["name"] == "both"
    rows = [im2col.gradient(8, 4, 2), im2col.step("speednet-s", 1)]
    assert all(row["torch"] > 0 and row["im2col"] > 0 for row in rows)
    assert len(im2col.table(rows)) == 2 + len(rows)
