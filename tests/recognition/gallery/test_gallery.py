"""A gallery as a person uses it: pictures go in under labels, others are matched with them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diptych import Gallery, Images, Recognizer, load
from diptych.errors import ArtefactError, DataError, UsageError
from diptych.recognition.gallery.enrolment import rows_of
from tests.recognition.gallery.conftest import digits_of


@pytest.fixture(scope="module")
def enrolled(embedding_recognizer: Recognizer, digit_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "digits"
    Gallery(embedding_recognizer, folder).enroll(digit_files)
    return folder


@pytest.fixture
def gallery(enrolled: Path, tmp_path: Path) -> Gallery:
    """A copy that a test may change."""
    return load(shutil.copytree(enrolled, tmp_path / "digits"))


def test_labels_that_no_network_was_trained_on_are_matched(enrolled: Path) -> None:
    gallery = load(enrolled)
    assert gallery.labels == {"5": 20, "6": 20, "7": 20}
    probes = digits_of((5, 6, 7), 30, start=20)
    matches = gallery.match(probes)
    targets = [probes.classes[label] for label in probes.labels]
    assert np.mean([name == target for name, target in zip(matches.names, targets, strict=True)]) > 0.85
    first = matches[0]
    assert first.nearest[0].distance == pytest.approx(first.distance)
    assert [near.distance for near in first.nearest] == sorted(near.distance for near in first.nearest)
    assert Path(first.nearest[0].path).is_file()
    assert 0 < first.confidence <= 1
    assert str(probes.paths[0]) in repr(matches)
    shown = matches._repr_html_()
    assert shown.count("<img ") == 12
    assert f"12 of {len(matches)} are shown" in shown
    assert first.name in shown


def test_thumbnails_are_kept_by_the_ids_of_matches(enrolled: Path, digit_files: Path) -> None:
    gallery = load(enrolled)
    near = gallery.match(digits_of((5,), 1, start=20), k=2)[0].nearest
    thumbnails = gallery.thumbnails([near[0].id, near[1].id, "0" * 16])
    assert set(thumbnails) == {near[0].id, near[1].id}
    assert all(picture.startswith(b"\xff\xd8") for picture in thumbnails.values())


def test_an_enrolled_picture_is_nearest_to_itself_and_enrolled_once(gallery: Gallery, digit_files: Path) -> None:
    path = sorted((digit_files / "6").iterdir())[3]
    near = gallery.match(path, k=1)[0].nearest[0]
    assert near.path == str(path)
    assert near.distance == pytest.approx(0, abs=1e-5)
    gallery.enroll(digit_files)
    assert (gallery.enrolment_.added, gallery.enrolment_.present, len(gallery)) == (0, 60, 60)
    gallery.enroll(path, ["9"])
    assert gallery.enrolment_.other_label == [str(path)]
    assert "9" not in gallery.labels


def test_a_new_label_is_known_at_once(gallery: Gallery) -> None:
    probe = digits_of((9,), 1, start=30)
    assert gallery.match(probe).names != ["9"]
    gallery.enroll(digits_of((9,), 15))
    assert gallery.match(probe).names == ["9"]


def test_filters_pick_the_pictures_that_are_compared(embedding_recognizer: Recognizer, tmp_path: Path) -> None:
    pictures = digits_of((5, 6), 20)
    years = np.array(["2020", "o'clock"])[np.arange(40) % 2]
    named = Images.from_arrays(
        [pictures.picture(i) for i in range(40)], pictures.labels, classes=pictures.classes, groups={"the year": years}
    )
    Gallery(embedding_recognizer, tmp_path / "gallery").enroll(named)
    gallery = load(tmp_path / "gallery")
    everything = gallery.match(pictures[:5], k=40)
    filtered = gallery.match(pictures[:5], k=40, where={"the year": "o'clock"})
    for whole, part in zip(everything, filtered, strict=True):
        expected = [near for near in whole.nearest if int(near.path.split("#")[1]) % 2]
        assert [near.id for near in part.nearest] == [near.id for near in expected]
    assert {near.label for match in gallery.match(pictures[:5], where={"label": ["6"]}) for near in match.nearest} == {
        "6"
    }
    nothing = gallery.match(pictures[:1], where={"the year": "1999"})[0]
    assert (nothing.name, nothing.unknown, nothing.nearest) == ("", True, ())
    with pytest.raises(UsageError, match="no column colour"):
        gallery.match(pictures[:1], where={"colour": "red"})


def test_labels_are_renamed_merged_and_reassigned(gallery: Gallery) -> None:
    assert gallery.rename("5", "five") == 20
    with pytest.raises(UsageError, match="gallery merge"):
        gallery.rename("five", "6")
    ids = [row["id"] for row in gallery.pictures("6")][:2]
    assert gallery.reassign(ids, "six?") == 2
    assert gallery.labels == {"6": 18, "7": 20, "five": 20, "six?": 2}
    assert gallery.merge(["six?", "7"], "6") == 22
    assert load(gallery.folder).labels == {"6": 40, "five": 20}
    with pytest.raises(UsageError, match="no label 8"):
        gallery.merge(["8"], "6")
    with pytest.raises(UsageError, match="no picture"):
        gallery.reassign(["0" * 16], "6")


def test_what_is_removed_is_in_no_file_any_more(gallery: Gallery, digit_files: Path) -> None:
    path = sorted((digit_files / "7").iterdir())[0]
    near = gallery.match(path, k=1)[0].nearest[0]

    def traces() -> list[str]:
        return [
            file.name for file in gallery.folder.rglob("*") if file.is_file() and near.id.encode() in file.read_bytes()
        ]

    assert traces()
    assert gallery.remove(ids=[near.id]) == 1
    assert traces() == []
    assert gallery.remove(labels=["5"]) == 20
    assert gallery.labels == {"6": 20, "7": 19}
    assert gallery.match(path, k=1)[0].nearest[0].id != near.id


def test_galleries_that_keep_their_tables_in_one_place_leave_each_other_alone(
    embedding_recognizer: Recognizer, tmp_path: Path
) -> None:
    place = str(tmp_path / "tables")
    one, two = (Gallery(embedding_recognizer, tmp_path / name, table=place) for name in ("one", "two"))
    one.enroll(digits_of((5, 6), 5))
    two.enroll(digits_of((7, 8), 5))
    one.remove(labels=["5"])
    assert one.labels == {"6": 5}
    assert load(tmp_path / "two").labels == {"7": 5, "8": 5}


def test_a_picture_embedded_before_a_rebuild_is_not_added_after_it(gallery: Gallery) -> None:
    other = Recognizer("convnet", epochs=1, batch=16, seed=2).fit(digits_of((0, 1), 20))
    before = load(gallery.folder)
    embedder = before.embedder
    (rows, _), *_ = rows_of(digits_of((9,), 3), embedder)
    gallery.rebuild(other)
    with pytest.raises(DataError, match="rebuilt with another network"):
        before._append(rows, embedder, before.enrolment_)
    assert "9" not in load(gallery.folder).labels


def test_vectors_of_another_network_are_refused_until_the_gallery_is_rebuilt(gallery: Gallery) -> None:
    other = Recognizer("convnet", epochs=1, batch=16, seed=1).fit(digits_of((0, 1), 30))
    with pytest.raises(UsageError, match="cannot be compared"):
        Gallery(other, gallery.folder)
    before = gallery.match(digits_of((5,), 1, start=40))[0]
    gallery.rebuild(other)
    assert Gallery(other, gallery.folder).labels == {"5": 20, "6": 20, "7": 20}
    assert gallery.match(digits_of((5,), 1, start=40))[0].distance != before.distance


def test_a_rebuild_without_the_files_changes_nothing(
    embedding_recognizer: Recognizer, digit_files: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(digit_files, tmp_path / "photos")
    gallery = Gallery(embedding_recognizer, tmp_path / "gallery").enroll(photos)
    lost = sorted((photos / "6").iterdir())[0]
    lost.unlink()
    with pytest.raises(DataError, match=lost.name):
        gallery.rebuild(embedding_recognizer)
    assert len(load(gallery.folder)) == 60


def test_changed_weights_are_noticed(gallery: Gallery) -> None:
    facts = json.loads((gallery.folder / "model.json").read_text())
    facts["embedder"]["sha256"] = "0" * 64
    (gallery.folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ArtefactError, match="gallery rebuild"):
        load(gallery.folder)


def test_a_pair_is_the_same_or_not(enrolled: Path, digit_files: Path) -> None:
    gallery = load(enrolled)
    one, two = sorted((digit_files / "6").iterdir())[:2]
    same = gallery.match_pair(one, one, far=0.05)
    assert same.same
    assert same.similarity == pytest.approx(1, abs=1e-5)
    assert 0 < same.tar <= 1
    strict, loose = gallery.match_pair(one, two, far=0.01), gallery.match_pair(one, two, far=0.2)
    assert strict.threshold > loose.threshold
    assert strict.similarity == loose.similarity
    with pytest.raises(UsageError, match="one picture and another"):
        gallery.match_pair(one, digit_files)


def test_few_pictures_measure_no_small_error_rate(embedding_recognizer: Recognizer) -> None:
    gallery = Gallery(embedding_recognizer).enroll(digits_of((5,), 5))
    assert not gallery.match(digits_of((9,), 1)).unknown[0]  # with one label nothing says what is unlike it
    with pytest.raises(DataError, match="too few pictures"):
        gallery.match_pair(digits_of((5,), 1), digits_of((9,), 1))


def test_unreadable_and_unlabelled_pictures(
    embedding_recognizer: Recognizer, folder_with_a_broken_picture: Path
) -> None:
    gallery = Gallery(embedding_recognizer).enroll(folder_with_a_broken_picture)
    assert (gallery.enrolment_.added, len(gallery.enrolment_.unreadable)) == (12, 1)
    matches = gallery.match([folder_with_a_broken_picture / "cat" / name for name in ("0.png", "broken.png")])
    assert matches[0].error is None
    assert matches[1].error is not None
    assert matches[1].unknown
    assert "error" in matches[1].json()
    with pytest.raises(DataError, match="no label"):
        gallery.enroll(digits_of((5,), 2).with_metadata(labels=np.full(2, -1)))


def test_evaluation_leaves_out_what_is_enrolled(enrolled: Path, digit_files: Path) -> None:
    gallery = load(enrolled)
    report = gallery.evaluate(
        [Images.open(digit_files), digits_of((5, 6, 7), 20, start=20)], unknown=digits_of((0, 1), 20)
    )
    assert report.scores["accuracy"].n == 60
    assert "60 pictures are in the gallery" in report.findings[0]
    assert report.scores["accuracy"].value > 0.85
    assert report.scores["false_accept_rate"].n == 40
    for name in ("pair_tar_at_far_1", "pair_equal_error_rate", "pair_far_of_threshold"):
        score = report.scores[name]
        assert score.low <= score.value <= score.high
    with pytest.raises(DataError, match="All of these"):
        gallery.evaluate(digit_files)


def test_two_objects_on_one_gallery_see_each_other(gallery: Gallery) -> None:
    other = load(gallery.folder)
    assert len(other) == 60
    gallery.enroll(digits_of((8,), 10), adapt=True)
    assert other.labels["8"] == 10
    probes = digits_of((8,), 5, start=30)
    assert other.match(probes).names == gallery.match(probes).names
    assert torch.allclose(
        torch.from_numpy(other.match(probes).distances), torch.from_numpy(gallery.match(probes).distances)
    )


def test_the_built_in_backbone_embeds_without_any_model(tmp_path: Path) -> None:
    gallery = Gallery(store=tmp_path / "gallery").enroll(digits_of((0, 1), 4))
    assert load(gallery.folder).match(digits_of((0,), 1)).names == ["0"]
    assert gallery.embedder.facts()["name"] == "lite0"


@pytest.mark.parametrize(
    "table", [{"url": "db://evil"}, {"url": "https://evil.example/x"}, {"url": 5}, {"name": "../x"}]
)
def test_a_gallery_of_somebody_else_names_no_other_kind_of_place(gallery: Gallery, table: dict[str, object]) -> None:
    path = gallery.folder / "model.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "table": {**facts["table"], **table}}))
    with pytest.raises(ArtefactError, match=r"cannot be at|\$\.table"):
        load(gallery.folder)
