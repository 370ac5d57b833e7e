import io

import numpy as np
from PIL import Image

from diptych.report import animation

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 9, 9, 3), np.uint8)


def test_a_gif_loops_and_has_every_frame():
    with Image.open(io.BytesIO(animation.gif(FRAMES))) as opened:
        assert opened.n_frames == 5
        assert opened.info["loop"] == 0
        assert min(opened.size) >= 192
        opened.seek(3)
        fourth = np.asarray(opened.convert("RGB"))[::22, ::22][:9, :9]
    assert np.abs(fourth.astype(int) - FRAMES[3]).mean() < 12


def test_an_mp4_has_every_frame():
    import av

    with av.open(io.BytesIO(animation.mp4(FRAMES))) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    assert len(frames) == 5
    middle = frames[2][11::22, 11::22][:9, :9].mean(axis=2)
    assert np.abs(middle - FRAMES[2].mean(axis=2)).mean() < 15
