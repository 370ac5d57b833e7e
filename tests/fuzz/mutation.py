"""Changes to files that leave them of their kind, so that what lies behind checksums and parsers is reached too.

Each takes a file, a source of random numbers and the fuzzer's own change of bytes; a file that cannot be taken apart
is left to the latter.
"""

import gzip
import io
import json
import random
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Bytes = Callable[[bytes], bytes]
Mutation = Callable[[bytes, random.Random, Bytes], bytes]

#: JSON texts that a reader may not expect in any place.
VALUES = (
    "null", "true", "false", "0", "-1", "1", "0.5", "1e999", "NaN", "-Infinity", "1" * 40, "9" * 5000, "2147483648",
    "9223372036854775808", '""', '"a"', '"\\ud800"', '"\\u0000"', '"../a.png"', '"/etc/passwd"', '"a\\u001b[31m\\nb"',
    '"' + "x" * 300 + '"', "[]", "{}", "[[]]", "[null]", "[1]", '["a"]', '{"a":1}', '[{}]', "[" * 3000,
)  # fmt: skip
CELLS = (
    "", '"', '""', "=1+1", "../a.png", "/etc/passwd", "C:\\a", "\0", "\ufeff", "e\u0301", "-1", "nan", "1e999",
    "cat|dog", "|", "\\u007c", "0", "1", "synthetic", "train", "exclude", "x" * 300, "\t", ";", ",", "\r", "\x1b[31m",
    "\u2028", "9" * 30,
)  # fmt: skip
NAMES = (
    "../a.png", "/a.png", "a\0.png", "a/../b.png", "x" * 300 + ".png", "\udce2.png", "a\n.png", "cat/1.png", ".png",
    "classes.txt", "metadata.csv", "a.cls", "a.json", "cat", "", "a.zip", "a.parquet", "nul\\a.png", "train/cat/1.png",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 4, 8, 16, 32, 64, 255, 256, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: the object or list, and the key or index in it."""
    places: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            places += [(value, key), *_places(value[key])]
    return places


def json_value(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Put one or two other values somewhere, or take something away."""
    try:
        root = [json.loads(data)]
        for _ in range(rng.choice((1, 1, 2))):
            holder, key = rng.choice(_places(root)[1:] or _places(root))
            kind = rng.random()
            if kind < 0.15:
                del holder[key]
            elif kind < 0.3:
                holder[key] = rng.choice([value for holder, key in _places(root) for value in [holder[key]]])
            else:
                holder[key] = f"\ue000{rng.randrange(len(VALUES))}\ue001"  # the text itself is put in below
        text = json.dumps(root[0] if root else None)
        return re.sub(r'"\\ue000(\d+)\\ue001"', lambda match: VALUES[int(match[1])], text).encode()
    except (ValueError, RecursionError, IndexError):
        return other(data)


def json_lines(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change one line."""
    lines = data.split(b"\n")
    i = rng.randrange(len(lines))
    lines[i] = json_value(lines[i], rng, other)
    return b"\n".join(lines)


def table(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change one cell of a table, or the order of its lines."""
    parts = re.split(rb"([,;\t\n])", data)
    if rng.random() < 0.1:
        lines = data.split(b"\n")
        rng.shuffle(lines)
        return b"\n".join(lines)
    parts[rng.randrange(len(parts))] = rng.choice(CELLS).encode()
    return b"".join(parts)


def picture(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change a chunk of a PNG with its checksum, or a tag of a TIFF."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data, rng, other)
    if data[:4] == b"II*\0" and len(data) > 10:
        start = struct.unpack_from("<I", data, 4)[0]
        entries = struct.unpack_from("<H", data, start)[0] if start + 2 <= len(data) else 0
        place = start + 2 + 12 * rng.randrange(max(entries, 1))
        if place + 12 <= len(data):
            changed, number = bytearray(data), rng.choice(NUMBERS)
            offset, form = rng.choice(((2, "<H"), (4, "<I"), (8, "<I"), (8, "<H")))
            struct.pack_into(form, changed, place + offset, number & (0xFFFF if form == "<H" else 0xFFFFFFFF))
            return bytes(changed)
    return other(data)


def _png(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    chunks, place = [], 8
    while place + 12 <= len(data):
        length = struct.unpack_from(">I", data, place)[0]
        chunks.append([data[place + 4 : place + 8], data[place + 8 : place + 8 + length]])
        place += 12 + length
    if not chunks:
        return other(data)
    chunk = rng.choice(chunks)
    if chunk[0] in (b"IDAT", b"iCCP", b"zTXt") and rng.random() < 0.5:
        head, packed = (b"", chunk[1]) if chunk[0] == b"IDAT" else (chunk[1][:2], chunk[1][2:])
        try:
            chunk[1] = head + zlib.compress(other(zlib.decompress(packed)))
        except zlib.error:
            chunk[1] = other(chunk[1])
    elif rng.random() < 0.2:
        chunks.insert(
            rng.randrange(len(chunks) + 1), [rng.choice((b"tRNS", b"eXIf", b"iTXt", b"acTL", b"gAMA")), chunk[1]]
        )
    else:
        chunk[1] = other(chunk[1])
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return data[:8] + b"".join(packed)


def zip_archive(data: bytes, rng: random.Random, other: Bytes, member: Mutation | None = None) -> bytes:
    """Change a member's content or name, with the checksums, or leave it out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # not a zip any more
        return other(data)
    i = rng.randrange(max(len(members), 1))
    kind = rng.random()
    if members and kind < 0.2:
        members[i] = (rng.choice(NAMES), members[i][1])
    elif members and kind < 0.3:
        del members[i]
    elif members:
        content = members[i][1]
        members[i] = (members[i][0], member(content, rng, other) if member else other(content))
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name or "a"), content)
    except (ValueError, UnicodeError, struct.error):
        return other(data)
    return out.getvalue()


_TYPES = (
    "|u1",
    "<f4",
    "<f8",
    "<i8",
    "|b1",
    "<U3",
    "|S3",
    "<c8",
    "<M8[s]",
    "|O",
    "<f2",
    "<u2",
    "|V4",
    "<U0",
    "[('a','u1')]",
)
_SHAPES = (
    (),
    (0,),
    (2,),
    (2, 4, 4, 3),
    (2, 3, 4, 4),
    (0, 4, 4, 3),
    (2, 0, 0, 3),
    (2, 48),
    (1, 2, 3, 4, 5),
    (2**40, 3),
    (-1,),
)


def _npy(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Another type or shape of the same bytes, or these bytes as numpy makes an array of them."""
    if rng.random() < 0.4 or data[:6] != b"\x93NUMPY":
        return other(data)
    shape, type_ = rng.choice(_SHAPES), rng.choice(_TYPES)
    if rng.random() < 0.5 and all(0 <= n < 100 for n in shape) and type_ not in ("|O", _TYPES[-1]):
        out = io.BytesIO()
        np.save(out, np.zeros(shape, type_))
        return out.getvalue()
    header = f"{{'descr': {type_ if type_[0] == '[' else repr(type_)}, 'fortran_order': False, 'shape': {shape}, }}\n"
    length = struct.unpack_from("<H", data, 8)[0] if len(data) > 10 else 0
    return data[:8] + struct.pack("<H", len(header)) + header.encode() + data[10 + length :]


def npz(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change one of the arrays."""
    if rng.random() < 0.2:
        names = ("pixels.npy", "labels.npy", "classes.npy", "origins.npy", "split.npy", "a.npy", "pixels")
        return data.replace(b"labels.npy", rng.choice(names).encode().ljust(10, b" ")[:10])
    return zip_archive(data, rng, other, _npy)


def tar(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change a member's content, name, size or kind, with the checksum."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = [(info, (archive.extractfile(info) or io.BytesIO()).read()) for info in archive]
    except Exception:  # not a tar any more
        return other(data)
    if not members:
        return other(data)
    i, kind = rng.randrange(len(members)), rng.random()
    info, content = members[i]
    if kind < 0.3:
        info.name = rng.choice(NAMES) or "a"
    elif kind < 0.4:
        info.type = rng.choice((b"0", b"1", b"2", b"3", b"5", b"6", b"S", b"x", b"L", b"7"))
    else:
        content = other(content)
    members[i] = (info, content)
    out = io.BytesIO()
    try:
        with tarfile.open(
            fileobj=out, mode="w", format=rng.choice((tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT))
        ) as archive:
            for member, body in members:
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    except (ValueError, UnicodeError, OSError):
        return other(data)
    packed = out.getvalue()
    return _with_wrong_field(packed, rng) if rng.random() < 0.2 else packed


def _with_wrong_field(data: bytes, rng: random.Random) -> bytes:
    """The first header of a tar with other bytes in one of its numbers, and the right checksum."""
    header, (start, end) = (
        bytearray(data[:512]),
        rng.choice(((100, 108), (124, 136), (136, 148), (156, 157), (257, 265))),
    )
    header[start:end] = (
        rng.randbytes(end - start) if rng.random() < 0.5 else rng.choice((b"7", b"\x80", b"\xff", b"-")) * (end - start)
    )
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + data[512:]


def tgz(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change the archive inside."""
    try:
        return gzip.compress(tar(gzip.decompress(data), rng, other), 1)
    except (OSError, EOFError, zlib.error):
        return other(data)


def safetensors(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Change the header, with its length."""
    length = struct.unpack_from("<Q", data)[0] if len(data) >= 8 else 0
    if not 0 < length < len(data):
        return other(data)
    header = json_value(data[8 : 8 + length], rng, other)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _random_table(rng: random.Random) -> Any:
    """Columns of any type under the names that readers look for."""
    import pyarrow as pa

    columns = [
        pa.array([b"", None, b"\x89PNG"]),
        pa.array([b"a", b"b", b"c"], pa.large_binary()),
        pa.array([{"bytes": b"a", "path": "a.png"}, None, {"bytes": None, "path": "../a.png"}]),
        pa.array([{"bytes": "text", "path": 3}] * 3),
        pa.array([{"bytes": b"a"}] * 3),
        pa.array([0, 1, None]),
        pa.array([-1, 2**63 - 1, 0]),
        pa.array([0.5, float("nan"), None]),
        pa.array(["cat", "", None]),
        pa.array([["cat"], [], None]),
        pa.array([[0, 1], None, [None]]),
        pa.array([[["a"]], [], None]),
        pa.array([{"a": 1}] * 3),
        pa.array([None, None, None]),
        pa.array([True, None, False]),
        pa.array(["synthetic", "real", "neither"]),
        pa.array([0, 10**9, None], pa.timestamp("s")),
        pa.array([0, -(2**62), None], pa.timestamp("ns")),
        pa.array([2**62, 1, None], pa.duration("us")),
        pa.array([1, 2, None], pa.date32()),
        pa.array(["cat", "dog", "cat"]).dictionary_encode(),
        pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())),
        pa.array([b"ab", b"cd", None], pa.binary(2)),
    ]
    names = ["image", "label", "labels", "split", "origin", "path", "file_name", "a", "", "caf\u00e9", "bytes", "group"]
    chosen = rng.sample(names, rng.randrange(1, 5))
    table = pa.table([rng.choice(columns) for _ in chosen], names=chosen)
    features: Any = rng.choice((
        None, b"{}", b"null", b"[", b'{"info":{"features":{"label":{"names":["cat","dog"],"_type":"ClassLabel"}}}}',
        b'{"info":{"features":{"label":{"names":7}}}}', b'{"info":{"features":{"label":[]}}}', b'{"info":[]}',
        b'{"info":{"features":{"label":{"names":[null,{}]},"labels":{"feature":{"names":["a"]}}}}}',
        b'{"info":{"features":{"label":{"names":"cat"}}}}', b'{"info":null}', b"\xff", b'{"info":{"features":[1]}}',
    ))  # fmt: skip
    return table if features is None else table.replace_schema_metadata({"huggingface": features})


def parquet(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Another table altogether, or other bytes in this one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rng.random() < 0.5:
        return other(data)
    out = pa.BufferOutputStream()
    pq.write_table(_random_table(rng), out)
    return bytes(out.getvalue())


def arrow(data: bytes, rng: random.Random, other: Bytes) -> bytes:
    """Another table altogether, or other bytes in this one."""
    import pyarrow as pa

    if rng.random() < 0.5:
        return other(data)
    out, table = pa.BufferOutputStream(), _random_table(rng)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return bytes(out.getvalue())
