"""What a program does with Diptych, in the folder of the commands, where no verb of the command line does it."""

from pathlib import Path

import numpy as np

from diptych import Images, Recognizer, load
from diptych.serving.jobs.record import Job, JobFolder
from diptych.serving.storage.datasets import DataSets
from diptych.serving.storage.model_files import ModelFiles

PICTURES = 60
HOME = Path()  # of the server: the folder of the commands


def lay_out() -> None:
    """The pictures that all commands share, of three classes."""
    digits = Images.open("digits")
    of_class = [np.flatnonzero(digits.labels == label) for label in range(3)]
    digits = digits.relabel([str(i) for i in range(10)])
    digits[np.concatenate([rows[: PICTURES // 3] for rows in of_class])].relabel(["0", "1", "2"]).save("digits")
    digits[np.concatenate([rows[PICTURES // 3 :][:8] for rows in of_class])].relabel(["0", "1", "2"]).save("more")
    uneven = [rows[: 20 if label else 10] for label, rows in enumerate(of_class)]
    digits[np.concatenate(uneven)].relabel(["0", "1", "2"]).save("uneven")


def train_further() -> None:
    """The training of a finished model goes on, by the clock: for a moment."""
    recognizer = Recognizer("convnet", epochs=1, batch=16)
    recognizer.fit("digits", into="models/recognizer", more=0.02)


def calibrate_and_save() -> None:
    load("models/recognizer").calibrate("more").save("models/recognizer")


def save_pictures() -> None:
    Images.open("more").save("out/pictures")


def _datasets() -> DataSets:
    return DataSets(HOME, quota_bytes=10**9)


def prepare_server() -> None:
    _datasets().create("pets")
    _upload("first.png")
    _upload("second.png")


def _upload(name: str) -> None:
    picture = next(Path("more").rglob("*.png")).read_bytes()
    datasets = _datasets()
    with datasets.draft() as draft:
        draft.write(picture)
        draft.finish()
        datasets.keep(draft, "pets", "cat", name)


def upload() -> None:
    _upload("third.png")


def relabel() -> None:
    _datasets().relabel("pets", ["cat/first.png", "cat/second.png"], "dog")


def drop() -> None:
    _datasets().drop("pets", ["cat/first.png", "cat/second.png"])


def record_job() -> None:
    folder = JobFolder(Path(".jobs/job"))
    folder.write(Job("job", "fit", {}))
    folder.add_event("state", "running")
    folder.add_event("state", "done")
    folder.write(Job("job", "fit", {}, state="done"))


def rename_model() -> None:
    ModelFiles(Path("models"), lambda _: False).rename("vae", "other")


def delete_model() -> None:
    ModelFiles(Path("models"), lambda _: False).delete("vae")
