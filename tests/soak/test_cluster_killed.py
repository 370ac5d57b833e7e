"""Work on a cluster of two machines, of which processes die: the same rows come out, none twice.

Each machine is a Ray node of its own with one processor; the control without a fault comes first.
"""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from diptych import VAE, Images, Recognizer

pytestmark = pytest.mark.soak
PICTURES = 16 * 1_000
TRIALS = range(5)
NODE = {"num_cpus": 1, "object_store_memory": 200_000_000, "include_dashboard": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    digits = Images.open("digits")
    pixels = np.tile(digits.pixels(32).permute(0, 2, 3, 1).numpy(), (1 + PICTURES // len(digits), 1, 1, 1))[:PICTURES]
    Images.from_arrays(pixels).save(folder / "pictures.npz")
    Recognizer("convnet", size=32, epochs=1).fit(digits[:200], into=folder / "recognizer")
    VAE(latent=4, epochs=1).fit(digits[:200], into=folder / "vae")
    return folder


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**{key: value for key, value in NODE.items() if key != "include_dashboard"})
    yield cluster
    cluster.shutdown()


def command(output: str) -> list[str]:
    verbs = {
        "rows.csv": ["predict", "recognizer", "pictures.npz", "--csv"],
        "vectors.parquet": ["embed", "recognizer", "pictures.npz", "-o"],
        "samples": ["sample", "vae", "-n", "6000", "-o"],
    }
    return [sys.executable, "-m", "diptych", *verbs[output], output, "--quiet"]


def start(folder: Path, output: str, on: list[str]) -> subprocess.Popen:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen([*command(output), *on], cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def content(folder: Path, output: str) -> list:
    path = folder / output
    if path.suffix == ".csv":
        return list(csv.reader(path.read_text().splitlines()))
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return [table["path"].to_pylist(), np.stack(table["embedding"].to_numpy()).tolist()]
    images = Images.open(path)
    return [images.paths.tolist(), images.labels.tolist(), images.pixels(8).sum((1, 2, 3)).tolist()]


@pytest.fixture(scope="module")
def expected(folder) -> dict[str, list]:
    """What one machine computes."""
    contents = {}
    for output in ("rows.csv", "vectors.parquet", "samples"):
        assert start(folder, output, []).wait() == 0
        contents[output] = content(folder, output)
        (folder / output).rename(folder / f"here-{output}")
    return contents


def done(folder: Path) -> int:
    return len(list((folder / "cache").rglob("*.job")))


def wait_for_jobs(folder: Path, process: subprocess.Popen, number: int) -> None:
    while done(folder) < number:
        assert process.poll() is None, f"it was over with {done(folder)} jobs"
        time.sleep(0.005)


def kill_a_worker(cluster: Cluster) -> None:
    workers = [one for one in psutil.process_iter(["cmdline"]) if "ray::run_job" in " ".join(one.info["cmdline"] or [])]
    assert workers
    workers[0].kill()


def kill_a_node(cluster: Cluster) -> None:
    cluster.remove_node(next(node for node in cluster.list_all_nodes() if not node.head), allow_graceful=False)


def clear(folder: Path, output: str) -> None:
    path = folder / output
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    assert done(folder) == 0


@pytest.mark.parametrize("output", ["rows.csv", "vectors.parquet", "samples"])
def test_without_a_fault_the_rows_are_those_of_one_machine(folder, expected, cluster, output):
    process = start(folder, output, ["--on", cluster.address])
    assert process.wait() == 0
    assert content(folder, output) == expected[output]
    clear(folder, output)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ray leaves two of its logs open
def test_from_outside_the_cluster_the_rows_are_the_same(folder, expected):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "ray_client_server_port": port})
    try:
        process = start(folder, "rows.csv", ["--on", f"ray://127.0.0.1:{port}"])
        assert process.wait() == 0
    finally:
        cluster.shutdown()
    assert content(folder, "rows.csv") == expected["rows.csv"]
    clear(folder, "rows.csv")


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize("fault", [kill_a_worker, kill_a_node])
@pytest.mark.parametrize("output", ["rows.csv", "samples"])
def test_after_a_death_the_rows_are_the_same(
    folder, expected, cluster, output: str, fault: Callable[[Cluster], None], trial: int
):
    process = start(folder, output, ["--on", cluster.address])
    wait_for_jobs(folder, process, 2 + 2 * trial)
    fault(cluster)
    assert process.wait() == 0
    assert content(folder, output) == expected[output]
    clear(folder, output)


@pytest.mark.parametrize("trial", TRIALS)
def test_a_killed_command_continues(folder, expected, cluster, trial: int):
    process = start(folder, "vectors.parquet", ["--on", cluster.address])
    wait_for_jobs(folder, process, 2 + 2 * trial)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = done(folder)
    assert kept
    process = start(folder, "vectors.parquet", ["--on", cluster.address])
    assert process.wait() == 0
    assert content(folder, "vectors.parquet") == expected["vectors.parquet"]
    clear(folder, "vectors.parquet")
