import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from diptych.report import figures

NAMES = ["猫", "a$b$_{", "<b> & \x07", "caf\udce9"]


def _pixels(n: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3)).astype(np.uint8)


def _texts(svg: bytes) -> str:
    return " ".join(ElementTree.fromstring(svg).itertext())


def test_a_grid_enlarges_small_pictures_pixel_by_pixel() -> None:
    pictures = _pixels(5, 8)
    sheet = np.asarray(Image.open(io.BytesIO(figures.grid(pictures))))
    assert sheet.shape == (2 * 48 + 2, 3 * 48 + 2 * 2, 4)
    second = sheet[:48, 50:98]
    assert (second[::6, ::6, :3] == pictures[1]).all()
    assert (second[5::6, 5::6, :3] == pictures[1]).all()
    assert sheet[60, 130, 3] == 0


def test_a_grid_of_large_pictures_keeps_their_size() -> None:
    sheet = Image.open(io.BytesIO(figures.grid(_pixels(4, 64), columns=4)))
    assert sheet.size == (4 * 64 + 3 * 2, 64)


@pytest.mark.parametrize("k", [4, 30, 100])
def test_a_confusion_matrix_names_and_counts_as_many_classes_as_fit(k: int) -> None:
    names = (NAMES * 25)[:k]
    svg = figures.confusion(np.eye(k, dtype=int) * 7, names)
    assert ("猫" in _texts(svg)) == (k <= figures.MAX_NAMED_CLASSES)
    assert "predicted" in _texts(svg)
    assert ("7" in _texts(svg).split()) == (k <= figures.MAX_COUNTED_CLASSES)


def test_curves_show_losses_and_scores_and_leave_out_nan() -> None:
    history = [
        {"seen_pictures": 100 * i, "losses": {"critic": 1 / i, "generator": float("nan")}, "scores": {"accuracy": 0.5}}
        for i in (1, 2, 3)
    ]
    losses, scores = (_texts(draw()) for draw in figures.curves(history).values())
    assert "critic" in losses
    assert "generator" not in losses
    assert "accuracy" in scores
    assert "pictures seen" in losses


def test_a_single_moment_makes_no_curve() -> None:
    moment = {"seen_pictures": 9, "losses": {"network": 1.0}, "scores": {"kernel_distance": 1.0, "copy_rate": 0.0}}
    assert figures.curves([moment]) == {}
    assert figures.monitor_curves([moment], 9) == {}
    later = {"seen_pictures": 18, "losses": {"network": 0.5}, "scores": {}}
    assert list(figures.curves([moment, later])) == ["Losses during training"]


@pytest.mark.parametrize("pictures", [17, 343_000, 8_750_000])
def test_counts_along_an_axis_do_not_overlap(pictures: int) -> None:
    history = [{"seen_pictures": pictures * i // 20, "losses": {"network": 1.0}} for i in range(1, 21)]
    root = ElementTree.fromstring(figures.curves(history)["Losses during training"]())
    axis = next(part for part in root.iter() if part.get("id") == "matplotlib.axis_1")
    counts = [text.text or "" for text in axis.iter() if text.tag.endswith("text") and text.text != "pictures seen"]
    assert len(counts) >= 3
    assert sum(len(count) + 1 for count in counts) < 55  # characters of this size on so wide a panel


def test_bars_of_many_names_show_the_extremes() -> None:
    texts = _texts(figures.bars({f"class{i:03d}": i for i in range(200)}))
    assert "class199" in texts
    assert "class000" in texts
    assert "class100" not in texts


def test_the_pictures_of_a_gallery_are_enlarged_and_keep_their_shapes() -> None:
    gallery = figures.gallery([*_pixels(2, 8), np.zeros((100, 200, 3), np.uint8)], ["a", "b", "c"], group=2)
    assert [Image.open(io.BytesIO(data)).size for data in gallery.pictures] == [(64, 64), (64, 64), (200, 100)]
    assert gallery.captions == ["a", "b", "c"]


def test_the_ink_of_a_chart_is_light_where_the_page_is_dark() -> None:
    chart = figures.bars({"a": 1}).decode()
    assert f"fill: {figures.INK}" in chart
    assert "@media (prefers-color-scheme: dark)" in chart
    assert figures.DARK_INK in chart


def test_the_same_input_gives_the_same_bytes() -> None:
    moments = [{"seen_pictures": 1, "losses": {"l": 1.0}}, {"seen_pictures": 2, "losses": {"l": 2}}]
    draws = (
        lambda: figures.confusion(np.ones((4, 4), int), NAMES),
        lambda: figures.bars({"a": 1, "b": 2}),
        lambda: figures.curves(moments)["Losses during training"](),
        lambda: figures.grid(_pixels(2, 8)),
    )
    for draw in draws:
        assert draw() == draw()


def test_empty_figures_are_drawn() -> None:
    ElementTree.fromstring(figures.bars({}))
    assert figures.curves([]) == {}


def test_photographs_are_jpeg_and_drawings_exact() -> None:
    smooth = np.linspace(0, 255, 128 * 128 * 3).reshape(128, 128, 3) + np.random.default_rng(0).normal(
        0, 8, (128, 128, 3)
    )
    photograph = figures.picture(smooth.clip(0, 255).astype(np.uint8))
    assert photograph.startswith(b"\xff\xd8")
    assert len(photograph) < len(figures.png(smooth.clip(0, 255).astype(np.uint8))) / 2
    drawing = figures.enlarged(_pixels(1, 4)[0], 64)
    assert drawing.shape == (64, 64, 3)
    assert (np.asarray(Image.open(io.BytesIO(figures.picture(drawing)))) == drawing).all()


def test_the_monitor_figure_has_the_interval_and_marks_the_chosen_model() -> None:
    ends = {"kernel_distance_low": -0.1, "kernel_distance_high": 9.0}
    history = [
        {
            "seen_pictures": 10 * i,
            "scores": {"kernel_distance": 8.0 / i, "copy_rate": 0.02 * i, **ends} if i % 2 else {},
        }
        for i in range(1, 8)
    ]
    curves = figures.monitor_curves(history, 30)
    assert curves == figures.monitor_curves(history, 30)
    assert curves != figures.monitor_curves(history, 50)
    distance, copies = map(_texts, curves.values())
    assert "copy rate" in copies
    assert {"0%", "10%"} <= set(copies.split())
    assert {"−0.1", "0.1", "1", "10"} <= set(distance.split())
    assert "$" not in distance  # as in $10^{1}$, which an SVG shows as it is
