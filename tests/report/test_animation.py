import io

import numpy as np
from PIL import Image

from diptych.report import animation

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 9, 9, 3), np.uint8)


def test_a_gif_runs_for_ever_and_shows_every_picture():
    with Image.open(io.BytesIO(animation.gif(FRAMES))) as shown:
        assert shown.n_frames == 5
        assert shown.info["loop"] == 0
        assert min(shown.size) >= 192
        shown.seek(3)
        first = np.asarray(shown.convert("RGB"))[::22, ::22][:9, :9]
    assert np.abs(first.astype(int) - FRAMES[3]).mean() < 12


def test_an_mp4_shows_every_picture():
    import av

    with av.open(io.BytesIO(animation.mp4(FRAMES))) as shown:
        frames = [frame.to_ndarray(format="rgb24") for frame in shown.decode(video=0)]
    assert len(frames) == 5
    middle = frames[2][11::22, 11::22][:9, :9].mean(axis=2)
    assert np.abs(middle - FRAMES[2].mean(axis=2)).mean() < 15
