"""Data sets over HTTP: uploads, what they refuse, and what becomes of them."""

import io
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from diptych import Images
from diptych.data.inspection import manifest
from diptych.serving.storage.datasets import move_all
from tests.serving.outer_client import serving

QUOTA = 3_000_000


def png(colour="red", size=(40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of a few kilobytes that claims 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_001 * 100), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder outside of the server's, with a link that leads out of it."""
    root = tmp_path_factory.mktemp("outside")
    (root / "secret.png").write_bytes(png("black"))
    for label in ("cat", "dog"):
        (root / "photos" / label).mkdir(parents=True)
        (root / "photos" / label / "1.png").write_bytes(png())
    (root / "photos" / "cat" / "link.png").symlink_to(root / "secret.png")
    return root / "photos"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home, photos):
    with serving(home, given=[str(photos)], quota_bytes=QUOTA, max_bytes=2_500_000) as running:
        yield running


@pytest.fixture
def pets(server, home, request):
    """The path of a new data set."""
    name = f"pets{abs(hash(request.node.name))}"
    assert server.post("/datasets", {"name": name}).status == 201
    return f"/datasets/{name}"


def files_of(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and ".jobs" not in path.parts}


def test_pictures_are_uploaded_listed_shown_relabelled_and_deleted(server, home, pets):
    answer = server.put_picture(f"{pets}/pictures/cat/1.png", png(size=(400, 300)))
    assert answer.status == 201
    assert answer.json() == {"path": "cat/1.png", "label": "cat", "bytes": len(png(size=(400, 300))), "width": 400,
                             "height": 300}  # fmt: skip
    assert server.put_picture(f"{pets}/pictures/{quote('猫')}/2.png", png("blue")).status == 201
    assert server.get(pets).json()["classes"] == {"cat": 1, "猫": 1}
    thumbnail = server.get(f"{pets}/thumbnails/cat/1.png?side=64")
    assert Image.open(io.BytesIO(thumbnail.body)).size == (64, 48)
    moved = server.post(f"{pets}/relabel", {"pictures": ["猫/2.png"], "label": "dog"})
    assert moved.json() == {"pictures": ["dog/2.png"]}
    listed = server.get(f"{pets}/pictures?label=dog").json()["pictures"]
    assert [picture["path"] for picture in listed] == ["dog/2.png"]
    original = server.get(f"{pets}/pictures/dog/2.png")
    assert (original.body, original.headers["content-disposition"]) == (png("blue"), "attachment")
    assert server.ask("DELETE", f"{pets}/pictures/dog/2.png").status == 204
    assert server.get(f"{pets}/pictures/dog/2.png").status == 404
    assert server.get(pets).json()["pictures"] == 1


def test_the_manifest_is_one_that_a_run_takes(server, home, pets, tmp_path):
    for label, colour in (("cat", "red"), ("dog", "blue")):
        server.put_picture(f"{pets}/pictures/{label}/1.png", png(colour))
    server.put_picture(f"{pets}/pictures/dog/2.png", png("green"))
    text = server.get(f"{pets}/manifest").body.decode()
    (tmp_path / "manifest.csv").write_text(text.replace("dog/2.png,dog,,keep", "dog/2.png,cat,,keep"))
    images = manifest.apply(Images.open(home / "data" / pets.rsplit("/", 1)[1]), tmp_path / "manifest.csv")
    assert images.counts() == {"cat": 2, "dog": 1}


def test_nothing_is_overwritten(server, pets):
    assert server.put_picture(f"{pets}/pictures/cat/1.png", png("red")).status == 201
    answer = server.put_picture(f"{pets}/pictures/cat/1.png", png("blue"))
    assert (answer.status, answer.code) == (409, "name_taken")
    server.put_picture(f"{pets}/pictures/dog/1.png", png("blue"))
    assert server.post(f"{pets}/relabel", {"pictures": ["dog/1.png"], "label": "cat"}).status == 409
    assert server.get(f"{pets}/pictures/cat/1.png").body == png("red")
    assert server.post("/datasets", {"name": pets.rsplit("/", 1)[1]}).status == 409


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", png()[:-20], b"<svg onload='alert(1)'/>", b"GIF89a", bomb()],
    ids=["empty", "text", "truncated", "svg", "header", "bomb"],
)
def test_what_is_no_whole_picture_of_bounded_size_is_refused_and_leaves_nothing(server, home, pets, data):
    before, memory = files_of(home), server.memory()
    answer = server.put_picture(f"{pets}/pictures/cat/x.png", data)
    assert (answer.status, answer.code) == (415, "not_a_picture")
    assert files_of(home) == before
    assert server.memory() - memory < 10_000_000


@pytest.mark.parametrize(
    "path",
    [
        "../x/1.png", "..%2f..%2fx/1.png", "%2e%2e/1.png", "cat/%2e%2e%2f1.png", "cat/..%5c1.png", "cat/a%00.png",
        "cat/%2fetc%2f1.png", "cat/.1.png", "%ef%bc%8e%ef%bc%8e/1.png", "cat/a%e2%88%951.png", "cat/1.py", "cat/1.svg",
        ".hidden/1.png", "cat/%ff.png", "CON/1.png", f"cat/{'x' * 300}.png",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_write_nothing(server, home, pets, path):
    before = files_of(home.parent)
    answer = server.put_picture(f"{pets}/pictures/{path}", png())
    assert answer.status in (404, 405, 409, 422)
    assert files_of(home.parent) == before


@pytest.mark.parametrize("name", ["..", "../x", "/tmp/x", "a/b", "", "a\0", ".drafts", "．．", "x" * 300, "\ud800"])
def test_a_data_set_of_such_a_name_is_not_created(server, home, name):
    assert server.post("/datasets", {"name": name}).status == 422


@pytest.mark.parametrize("path", ["../secret.png", "..%2fsecret.png", "%2e%2e%2fsecret.png", "cat/link.png",
                                  "cat/..%2f..%2fsecret.png", "%2fetc%2fpasswd", "cat"])  # fmt: skip
def test_nothing_outside_of_a_data_set_is_read(server, path):
    for kind in ("pictures", "thumbnails"):
        assert server.get(f"/datasets/photos/{kind}/{path}").status == 404
    assert server.get("/datasets/photos/pictures/cat/1.png").status == 200


def test_a_class_that_links_elsewhere_takes_no_picture(server, home, pets, tmp_path):
    (home / "data" / pets.rsplit("/", 1)[1] / "cat").symlink_to(tmp_path)
    assert server.put_picture(f"{pets}/pictures/cat/1.png", png()).status == 403
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_given_is_there_to_read(server, photos):
    before = files_of(photos)
    assert server.get("/datasets/photos").json() == {
        "name": "photos", "pictures": 2, "classes": {"cat": 1, "dog": 1}, "writable": False,
    }  # fmt: skip
    for answer in (
        server.put_picture("/datasets/photos/pictures/cat/9.png", png()),
        server.post("/datasets/photos/relabel", {"pictures": ["cat/1.png"], "label": "dog"}),
        server.ask("DELETE", "/datasets/photos/pictures/cat/1.png"),
    ):
        assert (answer.status, answer.code) == (403, "read_only")
    assert files_of(photos) == before


def test_relabelling_is_all_or_nothing(server, pets):
    server.put_picture(f"{pets}/pictures/cat/1.png", png())
    for others in (["cat/absent.png"], ["../../secret.png"]):
        assert server.post(f"{pets}/relabel", {"pictures": ["cat/1.png", *others], "label": "dog"}).status == 404
    assert server.post(f"{pets}/relabel", {"pictures": ["cat/1.png"], "label": "../dog"}).status == 422
    assert server.get(pets).json()["classes"] == {"cat": 1}


def test_where_the_disk_refuses_one_move_all_pictures_stay_where_they_were(tmp_path):
    first, gone = tmp_path / "a.png", tmp_path / "gone.png"
    first.write_bytes(b"picture")
    with pytest.raises(FileNotFoundError):
        move_all([(first, tmp_path / "dog" / "a.png"), (gone, tmp_path / "dog" / "gone.png")])
    assert first.read_bytes() == b"picture"


def test_pictures_are_dropped_and_restored_all_or_none(server, home, pets):
    for name in ("1.png", "2.png"):
        server.put_picture(f"{pets}/pictures/cat/{name}", png())
    assert server.post(f"{pets}/drop", {"pictures": ["cat/1.png", "cat/absent.png"]}).status == 404
    assert server.post(f"{pets}/drop", {"pictures": [".dropped/cat/1.png"]}).status == 404
    assert server.get(pets).json()["classes"] == {"cat": 2}
    assert server.post(f"{pets}/drop", {"pictures": ["cat/1.png"]}).json() == {"pictures": ["cat/1.png"]}
    assert server.get(pets).json()["classes"] == {"cat": 1}
    assert b"1.png" not in server.get(f"{pets}/manifest").body
    for path in ("../../data.png", ".dropped/cat/1.png", "cat/absent.png"):
        assert server.post(f"{pets}/restore", {"pictures": [path]}).status == 404
    server.put_picture(f"{pets}/pictures/cat/1.png", png("blue"))
    assert server.post(f"{pets}/restore", {"pictures": ["cat/1.png"]}).status == 409
    assert server.ask("DELETE", f"{pets}/pictures/cat/1.png").status == 204
    assert server.post(f"{pets}/restore", {"pictures": ["cat/1.png"]}).status == 200
    assert server.get(pets).json()["classes"] == {"cat": 2}


def test_uploads_beyond_the_quota_are_refused_and_deleting_makes_room(server, home, pets):
    picture = noise_png(2_000_000)
    assert server.put_picture(f"{pets}/pictures/cat/1.png", picture).status == 201
    for name in ("2.png", "3.png"):
        answer = server.put_picture(f"{pets}/pictures/cat/{name}", picture)
        assert (answer.status, answer.code) == (507, "quota")
    assert list((home / "data" / ".drafts").iterdir()) == []
    server.ask("DELETE", f"{pets}/pictures/cat/1.png")
    assert server.put_picture(f"{pets}/pictures/cat/4.png", picture).status == 201
    server.ask("DELETE", f"{pets}/pictures/cat/4.png")


def noise_png(size: int) -> bytes:
    """A picture of just over so many bytes."""
    import numpy as np

    side = int((size / 3) ** 0.5) + 1
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_an_upload_whose_client_leaves_leaves_nothing(server, home, pets):
    from tests.serving.outer_client import wait_until

    before = files_of(home)
    with server.connect() as client:
        client.sendall(f"PUT {pets}/pictures/cat/1.png HTTP/1.1\r\nHost: localhost\r\n".encode())
        client.sendall(b"Content-Type: image/png\r\nContent-Length: 1000\r\n\r\n" + png()[:50])
        wait_until(lambda: len(files_of(home)) > len(before))
    wait_until(lambda: files_of(home) == before)
