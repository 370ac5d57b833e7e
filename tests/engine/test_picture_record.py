"""A run that finds other pictures than those it was begun on says which they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.engine import checkpoint, picture_record
from diptych.errors import UsageError


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)).save(path)


def check(folder: Path, photos: Path) -> None:
    images = Images.open(photos)
    settings = {"data": images.fingerprint(), "validation": None}
    picture_record.check(folder, settings, images, None)
    picture_record.write(folder, images, None)
    checkpoint.claim(folder, settings)


def test_new_gone_changed_and_moved_pictures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, photos = tmp_path / "m", tmp_path / "photos"
    for i in range(6):
        draw(photos / "cat" / f"{i}.bmp", i)
        draw(photos / "dog" / f"{i}.bmp", 10 + i)
    check(model, photos)
    monkeypatch.chdir(tmp_path)
    check(model, Path("photos"))  # the same pictures, from another folder
    one, two = photos / "cat" / "0.bmp", photos / "dog" / "0.bmp"
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])  # of the same size under the same name
    two.write_bytes(contents[0])
    with pytest.raises(UsageError, match=r"2 pictures have other contents \(cat/0.bmp, dog/0.bmp\)\. Choose another"):
        check(model, photos)
    one.write_bytes(contents[0])
    two.unlink()
    draw(photos / "dog" / "new.bmp", 30)
    with pytest.raises(UsageError, match=r"1 picture is new \(dog/new.bmp\), 1 picture is gone \(dog/0.bmp\)"):
        check(model, photos)
    (photos / "dog" / "new.bmp").unlink()
    two.write_bytes(contents[1])
    (photos / "dog").rename(photos / "wolf")
    with pytest.raises(UsageError, match=r"6 pictures are new .*6 pictures are gone"):
        check(model, photos)
    (photos / "wolf").rename(photos / "dog")
    check(model, photos)
    (model / picture_record.FILE).unlink()
    with pytest.raises(UsageError, match="which ones is not known"):
        check(model, photos / "cat")
