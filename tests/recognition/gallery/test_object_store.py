"""A gallery whose table lies on an object store, moto's: ``make object-store``."""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from diptych import Gallery, Recognizer, load
from diptych.errors import ArtefactError
from tests.recognition.gallery.conftest import digits_of

pytestmark = pytest.mark.object_store
PORT = 5599


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a bucket."""
    server = f"http://127.0.0.1:{PORT}"
    settings = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
    }
    with pytest.MonkeyPatch.context() as patch, subprocess.Popen([os.environ["MOTO_SERVER"], "-p", str(PORT)]) as moto:
        for name, value in settings.items():
            patch.setenv(name, value)
        while moto.poll() is None:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{server}/pictures", method="PUT")).close()
                break
            except urllib.error.URLError:  # it does not listen yet
                continue
        yield "s3://pictures"
        moto.terminate()


def test_pictures_on_an_object_store_are_matched_changed_and_removed(
    embedding_recognizer: Recognizer, bucket: str, tmp_path: Path
) -> None:
    Gallery(embedding_recognizer, tmp_path / "here", table=f"{bucket}/digits").enroll(digits_of((5, 6), 10))
    assert not (tmp_path / "here" / "database").exists()
    gallery = load(tmp_path / "here")
    assert gallery.labels == {"5": 10, "6": 10}
    assert gallery.match(digits_of((5,), 1)).names == ["5"]
    gallery.rename("6", "six")
    gallery.remove(labels=["5"])
    assert load(tmp_path / "here").labels == {"six": 10}


def test_a_missing_bucket_is_named(embedding_recognizer: Recognizer, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="s3://elsewhere"):
        Gallery(embedding_recognizer, tmp_path / "there", table="s3://elsewhere/digits")
