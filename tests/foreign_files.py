"""Files of other formats, read and written from their public descriptions alone.

Plain loops over rows, and nothing of gscodec or gaussforge: the tests hold both against them.
Sources: antimatter15/splat, ``convert.py``; nianticlabs/spz, README and ``load-spz.cc``;
PlayCanvas, "Compressed PLY format" and "SOG format"; mkkellogg/GaussianSplats3D,
``SplatBuffer.js`` (a .ksplat has SH degree 2 at most).
"""

from __future__ import annotations

import gzip
import io
import json
import math
import struct
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

C0 = 0.28209479177387814  # of the constant SH function
_ROOT_HALF = math.sqrt(0.5)


@dataclass
class Row:
    """One Gaussian as a viewer sees it.

    Attributes:
        mean: x, y, z in the file's own axes.
        scale: Logarithms.
        quat: w, x, y, z, of length 1.
        alpha: 0 to 1.
        color: Of the constant SH function, 0 to 1 where nothing is out of range.
        sh: RGB of each further coefficient, in the order of a 3DGS .ply.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    quat: tuple[float, ...]
    alpha: float
    color: tuple[float, ...]
    sh: list[tuple[float, ...]] = field(default_factory=list)


def _unit(values: Sequence[float]) -> tuple[float, ...]:
    length = math.sqrt(sum(v * v for v in values))
    return tuple(v / length for v in values)


def _byte(value: float) -> int:
    return max(0, min(255, round(value)))


def _completed(rest: Sequence[float], largest: int) -> tuple[float, ...]:
    """A quaternion of which the component ``largest`` was left out, being positive."""
    quat = list(rest)
    quat.insert(largest, math.sqrt(max(0.0, 1 - sum(v * v for v in rest))))
    return tuple(quat)


def _smallest_three(quat: Sequence[float]) -> tuple[int, list[float]]:
    largest = max(range(4), key=lambda i: abs(quat[i]))
    sign = math.copysign(1, quat[largest])
    return largest, [sign * v for i, v in enumerate(quat) if i != largest]


# .splat: 32 bytes for each Gaussian.


def read_splat(data: bytes) -> list[Row]:
    rows = []
    for v in struct.iter_unpack("<6f8B", data):
        quat = _unit([(b - 128) / 128 for b in v[10:14]])
        color = tuple(b / 255 for b in v[6:9])
        rows.append(Row(v[0:3], tuple(map(math.log, v[3:6])), quat, v[9] / 255, color))
    return rows


def write_splat(rows: Sequence[Row]) -> bytes:
    return b"".join(
        struct.pack(
            "<6f8B",
            *row.mean,
            *map(math.exp, row.scale),
            *(_byte(255 * c) for c in row.color),
            _byte(255 * row.alpha),
            *(_byte(128 * q + 128) for q in row.quat),
        )
        for row in rows
    )


# .spz, versions 2 and 3. Axes: right, up, back.


def read_spz(data: bytes) -> list[Row]:
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    magic, version, count, degree, fraction, _, _ = struct.unpack_from("<IIIBBBB", data)
    assert (magic, version in {2, 3}) == (0x5053474E, True)
    dims = (degree + 1) ** 2 - 1
    size = 4 if version == 3 else 3
    at = 16
    parts = []
    for width in (9, 1, 3, 3, size, 3 * dims):
        parts.append([data[at + i * width : at + (i + 1) * width] for i in range(count)])
        at += count * width
    assert at == len(data)
    rows = []
    for p, a, c, s, q, h in zip(*parts, strict=True):
        mean = tuple(
            int.from_bytes(p[i : i + 3], "little", signed=True) / (1 << fraction)
            for i in (0, 3, 6)
        )
        color = tuple(((b / 255) - 0.5) / 0.15 * C0 + 0.5 for b in c)
        sh = [tuple((b - 128) / 128 for b in h[i : i + 3]) for i in range(0, 3 * dims, 3)]
        quat = _spz_quat(q)
        rows.append(Row(mean, tuple(b / 16 - 10 for b in s), quat, a[0] / 255, color, sh))
    return rows


def _spz_quat(raw: bytes) -> tuple[float, ...]:
    if len(raw) == 3:  # x, y, z; w is not negative
        x, y, z = (b / 127.5 - 1 for b in raw)
        return _completed((x, y, z), 0)
    bits = int.from_bytes(raw, "little")
    rest = []
    for shift in (20, 10, 0):
        part = bits >> shift & 1023
        rest.append((-1 if part & 512 else 1) * _ROOT_HALF * (part & 511) / 511)
    x, y, z, w = _completed(rest, bits >> 30)
    return w, x, y, z


def write_spz(rows: Sequence[Row], version: int = 3) -> bytes:
    degree = math.isqrt(len(rows[0].sh) + 1) - 1
    head = struct.pack("<IIIBBBB", 0x5053474E, version, len(rows), degree, 12, 0, 0)
    parts = [head]
    parts += [round(v * 4096).to_bytes(3, "little", signed=True) for r in rows for v in r.mean]
    parts += [bytes([_byte(255 * r.alpha)]) for r in rows]
    parts += [
        bytes([_byte(255 * ((c - 0.5) / C0 * 0.15 + 0.5))]) for r in rows for c in r.color
    ]
    parts += [bytes([_byte(16 * (s + 10))]) for r in rows for s in r.scale]
    parts += [_spz_bytes(r.quat, version) for r in rows]
    parts += [bytes([_byte(128 * v + 128)]) for r in rows for rgb in r.sh for v in rgb]
    return gzip.compress(b"".join(parts), mtime=0)


def _spz_bytes(quat: Sequence[float], version: int) -> bytes:
    w, x, y, z = quat
    if version == 2:
        sign = math.copysign(1, w)
        return bytes(_byte(127.5 * sign * v + 127.5) for v in (x, y, z))
    bits, rest = _smallest_three((x, y, z, w))
    for v in rest:
        bits = bits << 10 | (v < 0) << 9 | int(511 * abs(v) / _ROOT_HALF + 0.5)
    return bits.to_bytes(4, "little")


# .compressed.ply: chunks of 256 Gaussians with bounds.

_BOUNDS = [
    f"{end}_{what}"
    for group in (("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b"))
    for end in ("min", "max")
    for what in group
]
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")


def read_compressed_ply(data: bytes) -> list[Row]:
    header, _, body = data.partition(b"end_header\n")
    elements: list[tuple[str, int, list[str]]] = []
    for line in header.decode().splitlines():
        match line.split():
            case ["element", name, count]:
                elements.append((name, int(count), []))
            case ["property", _, name]:
                elements[-1][2].append(name)
            case _:
                pass
    tables: dict[str, list[dict[str, Any]]] = {}
    at = 0
    for name, rows, names in elements:
        code = f"<{len(names)}" + {"chunk": "f", "vertex": "I", "sh": "B"}[name]
        size = struct.calcsize(code)
        tables[name] = [
            dict(zip(names, struct.unpack_from(code, body, at + i * size), strict=True))
            for i in range(rows)
        ]
        at += rows * size
    assert at == len(body)
    sh: list[dict[str, Any]] = tables.get("sh") or [{} for _ in tables["vertex"]]
    return [
        _unpacked(tables["chunk"][i // 256], vertex, sh[i])
        for i, vertex in enumerate(tables["vertex"])
    ]


def _unpacked(chunk: dict[str, Any], vertex: dict[str, Any], sh: dict[str, Any]) -> Row:
    def between(names: str, fractions: Sequence[float]) -> tuple[float, ...]:
        low, high = ([chunk[f"{e}_{n}"] for n in names.split()] for e in ("min", "max"))
        return tuple(a + (b - a) * f for a, b, f in zip(low, high, fractions, strict=True))

    def thirds(bits: int) -> list[float]:
        return [(bits >> 21) / 2047, (bits >> 11 & 1023) / 1023, (bits & 2047) / 2047]

    turn = vertex["packed_rotation"]
    rest = [((turn >> shift & 1023) / 1023 - 0.5) / _ROOT_HALF for shift in (20, 10, 0)]
    color = [(vertex["packed_color"] >> shift & 255) / 255 for shift in (24, 16, 8, 0)]
    if "min_r" in chunk:
        color[:3] = between("r g b", color[:3])
    k = len(sh) // 3
    values = [(sh[f"f_rest_{i}"] + 0.5) / 256 * 8 - 4 for i in range(3 * k)]
    return Row(
        between("x y z", thirds(vertex["packed_position"])),
        between("scale_x scale_y scale_z", thirds(vertex["packed_scale"])),
        _completed(rest, turn >> 30),
        color[3],
        tuple(color[:3]),
        [(values[i], values[k + i], values[2 * k + i]) for i in range(k)],
    )


def write_compressed_ply(rows: Sequence[Row], *, colour_bounds: bool = True) -> bytes:
    """With the bounds of colours, or as it was before there were such."""
    k = len(rows[0].sh)
    names = _BOUNDS if colour_bounds else _BOUNDS[:12]
    chunks, vertices = [], []
    for start in range(0, len(rows), 256):
        part = rows[start : start + 256]
        groups: list[list[tuple[float, ...]]] = [
            [r.mean for r in part],
            [r.scale for r in part],
            [r.color for r in part],
        ]
        lows = [[min(column) for column in zip(*group, strict=True)] for group in groups]
        highs = [[max(column) for column in zip(*group, strict=True)] for group in groups]
        if not colour_bounds:
            lows[2], highs[2] = [0.0] * 3, [1.0] * 3
        ends = [v for low, high in zip(lows, highs, strict=True) for v in (*low, *high)]
        chunks.append(struct.pack(f"<{len(names)}f", *ends[: len(names)]))
        vertices += [_packed(row, lows, highs) for row in part]
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {len(chunks)}"]
    lines += [f"property float {name}" for name in names]
    lines += [f"element vertex {len(rows)}", *(f"property uint {name}" for name in _PACKED)]
    if k:
        lines += [
            f"element sh {len(rows)}",
            *(f"property uchar f_rest_{i}" for i in range(3 * k)),
        ]
    sh = [
        bytes(max(0, min(255, int((rgb[c] / 8 + 0.5) * 256))) for c in range(3) for rgb in r.sh)
        for r in rows
    ]
    text = "\n".join([*lines, "end_header\n"]).encode()
    return text + b"".join(chunks) + b"".join(vertices) + b"".join(sh)


def _packed(row: Row, lows: list[list[float]], highs: list[list[float]]) -> bytes:
    def fractions(values: Sequence[float], which: int) -> Iterator[float]:
        for v, low, high in zip(values, lows[which], highs[which], strict=True):
            yield (v - low) / (high - low) if high > low else 0.0

    def thirds(values: Sequence[float], which: int) -> int:
        x, y, z = fractions(values, which)
        return round(x * 2047) << 21 | round(y * 1023) << 11 | round(z * 2047)

    turn, rest = _smallest_three(row.quat)
    for v in rest:
        turn = turn << 10 | round((v * _ROOT_HALF + 0.5) * 1023)
    color = 0
    for f in (*fractions(row.color, 2), row.alpha):
        color = color << 8 | _byte(255 * f)
    return struct.pack("<4I", thirds(row.mean, 0), turn, thirds(row.scale, 1), color)


# .ksplat, levels 0 to 2.

_KSPLAT = {0: ("3f", "3f", "4f", "f"), 1: ("3H", "3e", "4e", "e"), 2: ("3H", "3e", "4e", "B")}


def read_ksplat(data: bytes) -> list[Row]:
    level = struct.unpack_from("<H", data, 20)[0]
    sections, lowest, highest = (
        struct.unpack_from("<I", data, 4)[0],
        *struct.unpack_from("<2f", data, 36),
    )
    lowest, highest = lowest or -1.5, highest or 1.5
    at = 4096 + 1024 * sections
    rows: list[Row] = []
    for number in range(sections):
        head = 4096 + 1024 * number
        count, most, size, buckets = struct.unpack_from("<4I", data, head)
        (block,) = struct.unpack_from("<f", data, head + 16)
        (stored,) = struct.unpack_from("<H", data, head + 20)
        (steps,) = struct.unpack_from("<I", data, head + 24)
        full, partial = struct.unpack_from("<2I", data, head + 32)
        (degree,) = struct.unpack_from("<H", data, head + 40)
        sizes = [size] * full + list(struct.unpack_from(f"<{partial}I", data, at))
        at += 4 * partial
        centers = [struct.unpack_from("<3f", data, at + stored * b) for b in range(buckets)]
        at += stored * buckets
        owners = [b for b, n in enumerate(sizes) for _ in range(n)]
        values = 3 * ((degree + 1) ** 2 - 1)
        position, scales, turn, harmonic = _KSPLAT[level]
        code = f"<{position}{scales}{turn}4B{values}{harmonic[-1]}"
        for i in range(count):
            v = struct.unpack_from(code, data, at + i * struct.calcsize(code))
            mean = v[:3]
            if level:
                step = block / 2 / (steps or 32767)
                mean = tuple(
                    (q - (steps or 32767)) * step + c
                    for q, c in zip(mean, centers[owners[i]], strict=True)
                )
            sh = list(v[14:])
            if level == 2:
                sh = [b / 255 * (highest - lowest) + lowest for b in sh]
            # Degree by degree, within it channel by channel.
            coefficients: list[tuple[float, ...]] = [
                (sh[f], sh[f + n], sh[f + 2 * n])
                for start, n in ((0, 3), (9, 5))[:degree]
                for f in range(start, start + n)
            ]
            color = tuple(b / 255 for b in v[10:13])
            scale = tuple(map(math.log, v[3:6]))
            rows.append(Row(mean, scale, _unit(v[6:10]), v[13] / 255, color, coefficients))
        at += most * struct.calcsize(code)
    assert at == len(data)
    return rows


def write_ksplat(rows: Sequence[Row], level: int = 0, size: int = 4) -> bytes:
    """In buckets of ``size`` neighbours in the list, one section."""
    degree = math.isqrt(len(rows[0].sh) + 1) - 1
    block, steps, bound = 5.0, 32767, 1.5
    flat = [_ksplat_sh(row, degree) for row in rows]
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    full, partial = divmod(len(rows), size)
    centers = [
        [(min(c) + max(c)) / 2 for c in zip(*(r.mean for r in g), strict=True)] for g in groups
    ]
    body = b""
    if level:
        body += struct.pack("<I", partial) if partial else b""
        body += b"".join(struct.pack("<3f", *c) for c in centers)
    position, scales, turn, harmonic = _KSPLAT[level]
    for i, row in enumerate(rows):
        mean: list[float] = list(row.mean)
        if level:
            center = struct.unpack("<3f", struct.pack("<3f", *centers[i // size]))
            mean = [
                round((m - c) / (block / 2) * steps) + steps
                for m, c in zip(row.mean, center, strict=True)
            ]
        sh = flat[i]
        if level == 2:
            sh = [int((min(max(v, -bound), bound) + bound) / (2 * bound) * 255) for v in sh]
        body += struct.pack(
            f"<{position}{scales}{turn}4B{len(sh)}{harmonic}",
            *mean,
            *map(math.exp, row.scale),
            *row.quat,
            *(_byte(255 * c) for c in row.color),
            _byte(255 * row.alpha),
            *sh,
        )
    n = len(rows)
    head = struct.pack("<4B4IH2x3f2f", 0, 1, 0, 0, 1, 1, n, n, level, 0, 0, 0, -bound, bound)
    used = bool(level)
    section = struct.pack(
        "<4IfH2x4IH",
        *(n, n, size * used, len(groups) * used, block * used, 12 * used, steps * used),
        *(len(body), full * used, bool(partial) * used, degree),
    )
    return head.ljust(4096, b"\0") + section.ljust(1024, b"\0") + body


def _ksplat_sh(row: Row, degree: int) -> list[float]:
    return [
        rgb[channel]
        for start, end in ((0, 3), (3, 8))[:degree]
        for channel in range(3)
        for rgb in row.sh[start:end]
    ]


# .sog, version 2: pictures in a zip archive.


def _rgba(picture: Any) -> list[bytes]:
    raw = picture.tobytes()
    return [raw[i : i + 4] for i in range(0, len(raw), 4)]


def read_sog(data: bytes) -> list[Row]:
    from PIL import Image

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        meta = json.loads(archive.read("meta.json"))

        def pixels(what: str, number: int = 0) -> Any:
            picture = Image.open(io.BytesIO(archive.read(meta[what]["files"][number])))
            return picture.convert("RGBA")

        names = (("means", 0), ("means", 1), ("scales", 0), ("quats", 0), ("sh0", 0))
        lower, upper, scales, quats, colors = (_rgba(pixels(*n)) for n in names)
        bands = meta["shN"]["bands"] if "shN" in meta else 0
        labels = _rgba(pixels("shN", 1)) if bands else []
        palette = pixels("shN", 0).load() if bands else None
    dims = (bands + 1) ** 2 - 1
    low, high = meta["means"]["mins"], meta["means"]["maxs"]
    rows = []
    for i in range(meta["count"]):
        logs = [
            low[a] + (high[a] - low[a]) * (upper[i][a] * 256 + lower[i][a]) / 65535
            for a in range(3)
        ]
        mean = tuple(math.copysign(math.exp(abs(v)) - 1, v) for v in logs)
        rest = [(b / 255 - 0.5) / _ROOT_HALF for b in quats[i][:3]]
        sh = []
        if bands:
            label = labels[i][0] + 256 * labels[i][1]
            assert palette is not None
            left = label % 64 * dims
            sh = [
                tuple(meta["shN"]["codebook"][b] for b in palette[left + k, label // 64][:3])
                for k in range(dims)
            ]
        rows.append(
            Row(
                mean,
                tuple(meta["scales"]["codebook"][b] for b in scales[i][:3]),
                _completed(rest, quats[i][3] - 252),
                colors[i][3] / 255,
                tuple(meta["sh0"]["codebook"][b] * C0 + 0.5 for b in colors[i][:3]),
                sh,
            )
        )
    return rows
