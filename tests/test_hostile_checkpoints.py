"""Checkpoints from strangers: one clear line, nothing run, no memory for declared sizes."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import plyfile
import pytest

from anchors import make_anchor_scene
from gscodec.anchors import Storage
from gscodec.checkpointio import read_checkpoint, write_checkpoint
from gscodec.checkpointio.pickles import MAX_PICKLE_BYTES
from gscodec.checkpointio.state_dicts import write_state_dict
from gscodec.errors import SceneError
from gscodec.kinds.blueprint import MAX_DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FOLDER = "point_cloud/iteration_30000/"
PLY, OPACITY = FOLDER + "point_cloud.ply", FOLDER + "opacity_mlp.pt"
SCENE = make_anchor_scene(20, storage=Storage.STATE_DICTS)
GOOD = write_checkpoint(SCENE)
GOOD_PT = GOOD[OPACITY]
NETWORK = dict(
    zip(
        ("0.weight", "0.bias", "2.weight", "2.bias"),
        SCENE.networks.opacity.arrays(),
        strict=True,
    )
)


def refusal(files: Mapping[str, bytes]) -> str:
    """The one line that refuses ``files``, for which next to no memory is taken."""
    tracemalloc.start()
    try:
        with pytest.raises(SceneError) as refused:
            read_checkpoint(files, name="model")
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    message = str(refused.value)
    assert message.startswith("model: ")
    assert message.isprintable()
    assert len(message) < 600
    return message


def refusal_of(opacity_file: bytes) -> str:
    message = refusal({**GOOD, OPACITY: opacity_file})
    assert message.startswith(f"model: {OPACITY}: ")
    return message


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def text(value: str) -> bytes:
    """Pushes ``value`` in an opcode that the interpreter knows."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def with_pickle(pickled: bytes) -> bytes:
    return zipped({**members_of(GOOD_PT), "archive/data.pkl": pickled})


def with_pickle_edit(old: bytes, new: bytes) -> bytes:
    """A good file, in whose pickle ``old`` is ``new``, once."""
    pickled = members_of(GOOD_PT)["archive/data.pkl"]
    assert old in pickled
    return with_pickle(pickled.replace(old, new, 1))


def test_the_good_one_is_read() -> None:
    """So that what follows is refused for the reason that it names."""
    assert read_checkpoint(GOOD, name="model").scene.digest() == SCENE.digest()
    repacked = {**GOOD, OPACITY: zipped(members_of(GOOD_PT))}
    assert read_checkpoint(repacked, name="model").scene.digest() == SCENE.digest()


class Runs:
    """Pickled by Python itself: what an attacker would do first."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def touch(trace: Path) -> bytes:
    return text(f"touch '{trace}'")


# Each creates the file ``trace`` if it is run, by another opcode or in another place.
PROGRAMS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "REDUCE of os.system": (lambda t: b"cos\nsystem\n(" + touch(t) + b"tR.", "'os.system'"),
    "REDUCE of posix.system": (
        lambda t: b"cposix\nsystem\n(" + touch(t) + b"tR.",
        "'posix.system'",
    ),
    "REDUCE of eval": (
        lambda t: b"cbuiltins\neval\n(" + text(f"open({str(t)!r}, 'w').close()") + b"tR.",
        "'builtins.eval'",
    ),
    "STACK_GLOBAL": (
        lambda t: b"\x80\x04\x8c\x05posix\x8c\x06system\x93(" + touch(t) + b"tR.",
        "'posix.system'",
    ),
    "INST": (lambda t: b"(" + touch(t) + b"iposix\nsystem\n.", "opcode b'i'"),
    "OBJ": (lambda t: b"(cposix\nsystem\n" + touch(t) + b"o.", "'posix.system'"),
    "NEWOBJ": (  # tuple(map(os.system, [...]))
        lambda t: (
            b"cbuiltins\ntuple\n(cbuiltins\nmap\n(cos\nsystem\n(" + touch(t) + b"tt\x81t\x81."
        ),
        "'builtins.tuple'",
    ),
    "BUILD": (  # the first gives the object a __setstate__, the second calls it
        lambda t: (
            b"ctypes\nSimpleNamespace\n)\x81}"
            + text("__setstate__")
            + b"cos\nsystem\nsb"
            + touch(t)
            + b"b."
        ),
        "'types.SimpleNamespace'",
    ),
    "BUILD of what TorchScript makes": (
        lambda t: (
            b"c__torch__.a\nB\n)\x81}"
            + text("__setstate__")
            + b"cos\nsystem\nsb"
            + touch(t)
            + b"b."
        ),
        "'os.system'",
    ),
    "inside a state dict": (
        lambda t: b"}(" + text("0.weight") + b"cposix\nsystem\n(" + touch(t) + b"tRu.",
        "'posix.system'",
    ),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_programs_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    """The message names the function; the file that running it makes is not there."""
    make, named = PROGRAMS[kind]
    trace = tmp_path / "ran"
    assert named in refusal_of(with_pickle(make(trace)))
    assert not trace.exists()
    if b"__torch__" in make(trace):
        return  # no class of that name can be imported, so pickle cannot run it either
    pickle.loads(make(trace))  # noqa: S301 - the proof that the program is alive
    assert trace.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("builtins getattr", "numpy load", "torch load", "torch.storage _load_from_bytes"),
        *("torch FloatStorage.__init__", "torch Size", "__main__ X", "__torch__ X", " "),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    """Known packages too: the list of what is read is closed."""
    module, attribute = name.split(" ", 1)
    for program in (
        f"c{module}\n{attribute}\n)R.".encode(),
        text(module) + text(attribute) + b"\x93)R.",
    ):
        assert f"'{module}.{attribute}'" in refusal_of(with_pickle(program))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_programs_of_every_protocol_are_refused(protocol: int, tmp_path: Path) -> None:
    """Pickles by Python itself, proven to be alive by running them."""
    trace = tmp_path / "ran"
    program = pickle.dumps(Runs(open, str(trace), "w"), protocol)
    refusal_of(with_pickle(program))
    assert not trace.exists()
    pickle.loads(program).close()  # noqa: S301 - our own
    assert trace.exists()


ODD_CALLS = {
    "BUILD of a name": b"ctorch\nFloatStorage\n}b.",
    "BUILD with a tuple": b"ccollections\nOrderedDict\n)R(}}tb.",
    "BUILD of a list": b"]}b.",
    "NEWOBJ of a dict": b"ccollections\nOrderedDict\n)\x81.",
    "NEWOBJ with arguments": b"c__torch__.a\nB\n(K\1t\x81.",
    "REDUCE of a record's class": b"c__torch__.a\nB\n)R.",
    "REDUCE of a storage": b"ctorch\nFloatStorage\n)R.",
    "REDUCE of text": b"X\1\0\0\0a)R.",
    "OrderedDict with items": b"ccollections\nOrderedDict\n(]tR.",
    "tensor of nothing": b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "parameter of text": b"ctorch._utils\n_rebuild_parameter\n(X\1\0\0\0atR.",
    "reference to text": b"X\1\0\0\0aQ.",
    "reference to a tuple": b"(X\7\0\0\0storagetQ.",
    "storage of a type that does not exist": b"ctorch\nQuantumStorage\n.",
    "persistent text": b"Pabc\n.",
    "extension registry": b"\x82\x01.",
    "protocol 9": b"\x80\x09N.",
    "nothing": b"",
    "no end": b"N",
    "empty stack": b".",
    "two values": b"NN.",
    "mark as a value": b"(.",
    "mark in a tuple": b"(\x85.",
    "tuple without a mark": b"t.",
    "memo that is not there": b"h\x05.",
    "text that is longer than the file": b"X\xff\xff\xff\xffabc.",
    "text that is not UTF-8": b"X\1\0\0\0\xff.",
    "name without an end": b"cos",
    "number of 255 bytes": b"\x8a\xff" + bytes(255) + b".",
    "dict with half an item": b"}(X\1\0\0\0au.",
    "dict with a tuple as a key": b"})Ns.",
    "items of a list": b"](NNu.",
    "appending to a dict": b"}Na.",
    "only a list": b"].",
    "only a number": b"K\1.",
    "list in itself": b"]q\0h\0a.",
    "dict in itself": b"}q\0X\1\0\0\0ah\0s.",
    "depth": b"}" + b"X\1\0\0\0a}" * 20_000 + b"s" * 20_000 + b".",
    "tuples in tuples": b")" + b"\x85" * 50_000 + b".",
    # Every level names the one below ten times: 10^9 values in 500 bytes.
    "billion laughs": b"}"
    + b"".join(
        b"q%c}(" % n + b"".join(b"X\1\0\0\0%ch%c" % (65 + i, n) for i in range(10)) + b"u"
        for n in range(9)
    )
    + b".",
    # A thousand dicts that share a dict of ten thousand keys, or a key of 100 kB.
    "wide": b"}("
    + b"".join(text(str(n)) + b"N" for n in range(10_000))
    + b"uq\0}("
    + b"".join(text(str(n)) + b"h\0" for n in range(1000))
    + b"u.",
    "long keys": b"X"
    + struct.pack("<I", 100_000)
    + b"a" * 100_000
    + b"q\0}("
    + b"".join(text(str(n)) + b"}h\0}s" for n in range(900))
    + b"u.",
    "too long": b"N0" * (MAX_PICKLE_BYTES // 2) + b"N.",
}


@pytest.mark.parametrize("kind", ODD_CALLS)
def test_odd_pickles_are_refused(kind: str) -> None:
    refusal_of(with_pickle(ODD_CALLS[kind]))


LONG = text("__torch__." + "a" * 1000)
# What was built once, put to use by a few bytes, again and again.
REPEATS = {
    "BUILD of the same dict": b"}("
    + b"".join(text(str(n)) + b"N" for n in range(1000))
    + b"uq\0c__torch__.a\nB\n)\x81"
    + b"h\0b" * 1000
    + b".",
    "tensors of one long shape": b"("
    + b"K\1" * 1000
    + b"tq\0("
    + (b"ctorch._utils\n_rebuild_tensor_v2\nq\1((" + text("storage"))
    + (b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\1tQK\0h\0h\0tq\2R")
    + b"h\1h\2R" * 1000
    + b"t.",
    "names from the same text": LONG + b"q\0(" + b"h\0h\0\x93" * 1000 + b"t.",
}


@pytest.mark.parametrize("kind", REPEATS)
def test_work_is_bounded_by_the_bytes_of_a_pickle(kind: str) -> None:
    """Repeats by reference are refused before they cost more than the pickle is long."""
    assert "the same values used over and over" in refusal_of(with_pickle(REPEATS[kind]))


def test_every_truncation_of_a_pickle_is_refused() -> None:
    pickled = members_of(GOOD_PT)["archive/data.pkl"]
    for end in range(len(pickled)):
        with pytest.raises(SceneError):
            read_checkpoint({**GOOD, OPACITY: with_pickle(pickled[:end])}, name="model")


def test_every_changed_byte_of_a_pickle_gives_a_scene_or_an_error() -> None:
    """Never another exception; sizes that change are noticed."""
    pickled = members_of(GOOD_PT)["archive/data.pkl"]
    rng = np.random.default_rng(0)
    for at in range(len(pickled)):
        changed = bytearray(pickled)
        changed[at] = rng.integers(256)
        try:
            read_checkpoint({**GOOD, OPACITY: with_pickle(bytes(changed))}, name="model")
        except SceneError as error:
            assert str(error).isprintable()  # noqa: PT017


def test_changed_bytes_of_an_archive_give_a_scene_or_an_error() -> None:
    rng = np.random.default_rng(1)
    for at in range(0, len(GOOD_PT), 2):
        changed = bytearray(GOOD_PT)
        changed[at] ^= 1 << rng.integers(8)
        try:
            read_checkpoint({**GOOD, OPACITY: bytes(changed)}, name="model")
        except SceneError as error:
            assert str(error).isprintable()  # noqa: PT017


def test_truncated_archives_are_refused() -> None:
    for end in range(0, len(GOOD_PT), 37):
        refusal_of(GOOD_PT[:end])


# Which integers stand in the pickle: storage sizes, shapes, strides.
HIDDEN_SHAPE = b"(J\x08\0\0\0J\x0b\0\0\0t"
HIDDEN_STRIDES = b"(J\x0b\0\0\0J\x01\0\0\0t"
HIDDEN_COUNT = b"cpuJX\0\0\0"


def ints(*numbers: int) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in numbers) + b"t"


TENSORS = {
    "huge shape": (HIDDEN_SHAPE, ints(2**31 - 1, 2**31 - 1), "does not fit its storage"),
    "larger shape": (HIDDEN_SHAPE, ints(9, 11), "does not fit its storage"),
    "negative shape": (HIDDEN_SHAPE, ints(-8, -11), "does not fit its storage"),
    "one dimension more": (HIDDEN_SHAPE, ints(1, 8, 11), "does not fit its storage"),
    "no dimension": (HIDDEN_SHAPE + HIDDEN_STRIDES, ints() + ints(), "does not fit"),
    "smaller shape": (HIDDEN_SHAPE, ints(7, 11), "expected float32"),
    "swapped shape": (
        HIDDEN_SHAPE + HIDDEN_STRIDES,
        ints(11, 8) + ints(8, 1),
        "expected float32",
    ),
    "stride 0": (HIDDEN_STRIDES, ints(0, 1), "does not fit its storage"),
    "negative stride": (HIDDEN_STRIDES, ints(-11, 1), "does not fit its storage"),
    "stride beyond the end": (HIDDEN_STRIDES, ints(13, 1), "does not fit its storage"),
    "overlapping strides": (
        HIDDEN_SHAPE + HIDDEN_STRIDES,
        ints(40, 40) + ints(1, 1),
        "does not fit its storage",
    ),
    "offset": (b"QJ\0\0\0\0", b"QJ\x01\0\0\0", "does not fit its storage"),
    "negative offset": (b"QJ\0\0\0\0", b"QJ\xff\xff\xff\xff", "does not fit its storage"),
    "storage larger than its bytes": (
        HIDDEN_COUNT,
        b"cpuJ\xff\xff\xff\x7f",
        "found 352 bytes, expected 8589934588",
    ),
    "storage smaller than its bytes": (HIDDEN_COUNT, b"cpuJW\0\0\0", "storage of 87 elements"),
    "other type": (b"FloatStorage", b"DoubleStorage", "found 352 bytes, expected 704"),
    "integers": (b"FloatStorage", b"IntStorage", "expected numbers of float"),
    "key that is a path": (
        b"X\x01\0\0\x000X\x03",
        b"X\x0b\0\0\0../data.pklX\x03",
        "storage '../data.pkl', expected a number",
    ),
    "key that is not there": (b"X\x01\0\0\x000X\x03", b"X\x01\0\0\x009X\x03", "no member"),
    "name of a layer": (b"0.weight", b"9.weight", "expected 0.weight, 0.bias"),
    "name with escape codes": (b"0.weight", b"0\x1b[31mgh", "expected 0.weight, 0.bias"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_reach_beyond_their_storage(kind: str) -> None:
    old, new, expected = TENSORS[kind]
    assert expected in refusal_of(with_pickle_edit(old, new))


def bomb(size: int) -> bytes:
    """A deflated pickle of ``size`` bytes in next to no file."""
    return zipped(
        {**members_of(GOOD_PT), "archive/data.pkl": b"N" * size}, zipfile.ZIP_DEFLATED
    )


def overlapping() -> bytes:
    """Two names in the directory for the same bytes of the archive."""
    archive = bytearray(zipped({"archive/data.pkl": bytes(10_000), "archive/data/0": b"x"}))
    second = archive.rindex(b"PK\x01\x02")
    archive[second + 20 : second + 28] = struct.pack("<II", 10_000, 10_000)
    return bytes(archive)


def duplicated() -> bytes:
    out = io.BytesIO(GOOD_PT)
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data/0", b"other")
    return out.getvalue()


def with_member(name: str, data: bytes = b"x") -> bytes:
    return zipped({**members_of(GOOD_PT), name: data})


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "found an empty file"),
    "text": (lambda: b"hello, world", "found b'hello, w', expected a zip archive"),
    "legacy": (
        lambda: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
        "this is torch's format from before version 1.6",
    ),
    "bare pickle": (lambda: b"cos\nsystem\n(S'true'\ntR.", "expected a zip archive"),
    "other zip": (lambda: zipped({"a/b.txt": b"x"}), "found 0 members data.pkl"),
    "two pickles": (lambda: with_member("other/data.pkl"), "found 2 members data.pkl"),
    "parent folder": (lambda: with_member("archive/../../x"), "expected a name inside"),
    "absolute path": (lambda: with_member("/etc/passwd"), "expected a name inside"),
    "backslashes": (lambda: with_member("archive\\..\\x"), "expected a name inside"),
    "duplicates": (duplicated, "found twice"),
    "overlaps": (overlapping, "overlap"),
    "bomb": (lambda: bomb(100_000_000), "is compressed, expected it stored"),
    "large pickle": (
        lambda: with_pickle(bytes(2 * MAX_PICKLE_BYTES)),
        "expected at most 1048576",
    ),
    "big endian": (lambda: with_member("archive/byteorder", b"big"), "expected little"),
    "many members": (
        lambda: zipped({f"a/{i}": b"" for i in range(10_001)}),
        "10001 members",
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_odd_archives(kind: str) -> None:
    make, expected = ARCHIVES[kind]
    assert expected in refusal_of(make())


def renetworked(**arrays: NDArray[np.float32]) -> dict[str, bytes]:
    return {**GOOD, OPACITY: write_state_dict({**NETWORK, **arrays})}


def test_networks_that_do_not_fit() -> None:
    """Each other, or the anchors."""
    other = write_checkpoint(make_anchor_scene(20, offsets=4, storage=Storage.STATE_DICTS))
    message = refusal({**GOOD, OPACITY: other[OPACITY]})
    assert "network opacity: found 11 inputs and 4 outputs, expected 11 or 12 and 3" in message
    wider = write_checkpoint(make_anchor_scene(20, features=9, storage=Storage.STATE_DICTS))
    assert "the anchors have 9 features and 3 offsets" in refusal({**GOOD, PLY: wider[PLY]})
    deeper = renetworked(**{"4.weight": NETWORK["2.weight"]})
    assert "expected 0.weight, 0.bias, 2.weight, 2.bias" in refusal(deeper)
    shifted = {f"1{name}": array for name, array in NETWORK.items()}
    assert "found 4 tensors" in refusal({**GOOD, OPACITY: write_state_dict(shifted)})


def test_networks_with_other_layers_are_refused() -> None:
    """A trace says its layers; another activation would render something else."""
    torch = pytest.importorskip("torch")
    assert torch
    from gscodec.checkpointio.traces import trace_network

    odd = trace_network(SCENE.networks.opacity, "Sigmoid")
    message = refusal_of(odd)
    assert "found layers ['Linear', 'ReLU', 'Linear', 'Sigmoid']" in message
    assert message.endswith("expected Linear, ReLU, Linear, Tanh")


def test_networks_with_nan() -> None:
    weight = NETWORK["2.weight"].copy()
    weight[1, 2] = np.nan
    message = refusal(renetworked(**{"2.weight": weight}))
    assert (
        "2.weight: found 1 of 24 values with NaN or infinity (first: index 10 is nan)"
        in message
    )


def test_missing_parts() -> None:
    without_cov = {n: d for n, d in GOOD.items() if "cov" not in n}
    assert f"{FOLDER} has no network cov" in refusal(without_cov)
    assert "no network opacity, cov, color" in refusal({PLY: GOOD[PLY]})
    assert "found no point_cloud.ply" in refusal({n: d for n, d in GOOD.items() if n != PLY})
    assert "found no point_cloud.ply" in refusal({})
    united = write_checkpoint(replace(SCENE, storage=Storage.UNITED))
    path = FOLDER + "checkpoints.pth"
    assert "no network cov, color" in refusal(
        {**united, path: write_state_dict({"opacity_mlp": NETWORK})}
    )


def with_values(field: str, row: int, value: float) -> dict[str, bytes]:
    array = getattr(SCENE, field).copy()
    array[row].flat[1] = value
    return write_checkpoint(replace(SCENE, **{field: array}))


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("anchors", "y"),
        ("features", "f_anchor_feat_1"),
        ("log_scalings", "scale_1"),
        ("offsets", "f_offset_3"),
    ],
)
def test_values_that_are_not_finite(field: str, name: str) -> None:
    for value in (np.nan, np.inf):
        message = refusal(with_values(field, 7, value))
        expected = f"1 of 20 anchors with NaN or infinity (first: index 7, {name} is {value})"
        assert expected in message


PLYS: dict[str, tuple[bytes, bytes, str]] = {
    "another count": (b"vertex 20\n", b"vertex 21\n", "truncated"),
    "huge count": (b"vertex 20\n", b"vertex 999999999999999\n", "truncated"),
    "a list": (b"float nx", b"list uchar int nx", "is a list"),
    "a gap": (b"f_anchor_feat_3", b"f_anchor_feat_9", "found 8 properties f_anchor_feat_*"),
    "an offset less": (b"f_offset_8", b"f_onset_8", "found 8 properties f_offset_*"),
    "five scales": (b"scale_5", b"skala_5", "found 5 properties scale_*"),
    "seven scales": (b"float rot_0", b"float scale_6", "found 7 properties scale_*"),
    "one mask": (b"float rot_0", b"float f_mask_0", "found 1 properties f_mask_*"),
    "no position": (b"float y", b"float u", "found no vertex property y"),
    "no vertices": (b"element vertex", b"element anchor", "found no properties f_offset_*"),
    "no ply": (b"ply\n", b"pyl\n", "expected a .ply"),
}


@pytest.mark.parametrize("kind", PLYS)
def test_odd_plys(kind: str) -> None:
    old, new, expected = PLYS[kind]
    assert GOOD[PLY].count(old) == 1
    message = refusal({**GOOD, PLY: GOOD[PLY].replace(old, new)})
    assert expected in message
    assert PLY in message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("level", "extra_level"), "this is a scene of Octree-GS or a relative of it"),
        (("level", "extra_level", "info"), "this is a scene of Octree-GS or a relative of it"),
        (("level",), "anchors of a relative of Scaffold-GS, found 1 further property: level"),
        (("f_drifts_feat_0",), "found 1 further property: f_drifts_feat_0"),
        (("anchor_rot_0", "anchor_size_0"), "found 2 further properties: anchor_rot_0"),
        (("info_0",), "found 1 further property: info_0"),
    ],
)
def test_relatives_of_scaffold_gs_are_refused_by_name(
    columns: tuple[str, ...], message: str
) -> None:
    table = plyfile.PlyData.read(io.BytesIO(GOOD[PLY]))["vertex"].data
    wider = np.zeros(len(table), table.dtype.descr + [(name, "<f4") for name in columns])
    for name in table.dtype.names:
        wider[name] = table[name]
    out = io.BytesIO()
    plyfile.PlyData([plyfile.PlyElement.describe(wider, "vertex")]).write(out)
    assert message in refusal({**GOOD, PLY: out.getvalue()})


def test_a_missing_embedding_is_named() -> None:
    """The network of colours takes 4 numbers of a camera that are in a file of their own."""
    files = write_checkpoint(make_anchor_scene(20, appearance=4, storage=Storage.STATE_DICTS))
    del files[FOLDER + "embedding_appearance.pt"]
    message = refusal(files)
    assert "embedding_appearance.pt is missing: network color takes 4 values more" in message


def test_long_descriptions_are_refused() -> None:
    long = bytes(MAX_DESCRIPTION + 1)
    assert "cfg_args: 65537 bytes" in refusal({**GOOD, "cfg_args": long})


def test_descriptions_that_are_not_text_are_noted() -> None:
    read = read_checkpoint({**GOOD, "cfg_args": b"\xff\xfeabc"}, name="model")
    assert read.scene.description == "\ufffd\ufffdabc"
    assert any("cfg_args is not UTF-8" in note for note in read.notes)


@pytest.mark.parametrize(
    "text",
    [
        "Namespace(a=__import__('os').system('true'))",
        "__import__('os').system('true')",
        "Namespace(**{'a': 1})",
        "Namespace(1)",
        "print(Namespace(a=1))",
        "Namespace(a=1); import os",
        "(" * 10_000,
        "\x00",
    ],
)
def test_descriptions_that_would_run_are_not_written(text: str) -> None:
    scene = replace(make_anchor_scene(3), description=text)
    assert "cfg_args" not in write_checkpoint(scene)


def test_plain_descriptions_are_written() -> None:
    text = "Namespace(feat_dim=8, lr=-1e-3, names=['a', 'b'], white=False, none=None)"
    scene = replace(make_anchor_scene(3), description=text)
    assert write_checkpoint(scene)["cfg_args"] == text.encode()
