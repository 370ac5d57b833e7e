import numpy as np
import pytest
import torch

from diptych import Images
from diptych.recognition import networks
from diptych.recognition.inference import feature_cache
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.feature_cache import FeatureCache


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "diptych" / "features"


def digests(*numbers):
    return np.array(numbers, np.uint64)


def test_rows_are_found_again_by_the_pictures_content(cache_folder):
    rows = torch.arange(12.0).reshape(4, 3)
    rows[3, 0] = torch.nan
    FeatureCache("key").add(digests(5, 2**63 + 1, 0, 7), rows)
    known, present = FeatureCache("key").get(digests(7, 2**63 + 1, 9, 5, 0))
    assert present.tolist() == [False, True, False, True, False]
    assert torch.equal(known, rows[[1, 0]])
    assert not FeatureCache("other").get(digests(5))[1].any()


def test_a_damaged_file_is_deleted_and_the_rest_is_kept(cache_folder):
    cache = FeatureCache("key")
    cache.add(digests(1), torch.ones(1, 3))
    cache.add(digests(2), torch.ones(1, 3))
    first = sorted((cache_folder / "key").iterdir())[0]
    first.write_bytes(first.read_bytes()[:-3])
    assert FeatureCache("key").get(digests(1, 2))[1].sum() == 1
    assert not first.exists()


def test_files_that_were_not_used_for_longest_go_first(cache_folder, monkeypatch):
    cache = FeatureCache("key")
    for number in (1, 2, 3):
        cache.add(digests(number), torch.ones(1, 1000))
    cache.get(digests(1))
    monkeypatch.setattr(feature_cache, "MAX_BYTES", 9000)
    cache.add(digests(4), torch.ones(1, 1000))
    assert FeatureCache("key").get(digests(1, 2, 3, 4))[1].tolist() == [True, False, False, True]


def test_an_embedder_computes_each_picture_once(cache_folder):
    network = networks.build("convnet", classes=3, size=8).eval()
    calls = []
    features = network.features
    network.features = lambda pictures: calls.append(len(pictures)) or features(pictures)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    first = Embedder(network, 8, "a network", frozen=True).outputs(Images.from_arrays(pixels[:4]))
    assert sum(calls) >= 4
    calls.clear()
    again = Embedder(network, 8, "a network", frozen=True).outputs(Images.from_arrays(pixels[[3, 5, 0]]))
    assert torch.equal(again.features[[0, 2]], first.features[[3, 0]])
    assert torch.equal(again.slopes[[0, 2]], first.slopes[[3, 0]])
    assert sum(calls) < 4
    calls.clear()
    late = Embedder(network, 8, "a network", frozen=True).outputs(Images.from_arrays(pixels), until=0.0)
    assert not late.features[:4].isnan().any()


def test_a_folder_that_cannot_be_written_is_an_empty_cache(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    cache = FeatureCache("key")
    cache.add(digests(1), torch.ones(1, 3))
    assert not cache.get(digests(1))[1].any()
