"""Neither tiles nor workers, dead ones or resumed runs among them, change a byte of a file."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dying
import gscodec
from gscodec import codec
from gscodec.disk.kept import KeptTiles
from gscodec.errors import OutOfMemoryError
from gscodec.kinds.aside import OutlyingError
from gscodec.learned import tiles
from gscodec.room import Room
from gscodec.sceneio import write_ply
from gscodec.tiling import Here, Tiling
from gscodec.workers import Pool
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from command import Cli
    from gscodec.scene import GaussianScene

QUICK: dict[str, Any] = {
    "effort": "instant",
    "training": 40,
    "raw_below": 0,
    "block_size": 300,
    "threads": 1,
}


@pytest.fixture(scope="module")
def scene() -> GaussianScene:
    """Of six blocks."""
    return make_scene(1700, 1)


@pytest.fixture(scope="module")
def plain(scene: GaussianScene) -> bytes:
    """Its file, made as a whole."""
    return gscodec.encode(scene, "hemgs", **QUICK)


def encoded(scene: GaussianScene, tiling: Tiling, **more: Any) -> bytes:
    """Its file, made in tiles."""
    return codec.encode_with_report(scene, "hemgs", tiling=tiling, **QUICK, **more).data


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C."""


class Stopping(Here):
    """In this process; the run is interrupted after so many tiles."""

    def __init__(self, most: int) -> None:
        self.most, self.numbers = most, list[int]()

    def results(
        self, work: Callable[[Any], Any], jobs: Iterable[tuple[int, Any]]
    ) -> Iterator[tuple[int, Any]]:
        for number, job in jobs:
            if len(self.numbers) == self.most:
                raise Interrupted
            self.numbers.append(number)
            yield number, work(job)


def test_tiles_are_whole_blocks() -> None:
    """As many as are asked for where there are so many blocks."""
    assert Tiling(2).cut(1700, 300) == [slice(0, 900), slice(900, 1700)]
    assert len(Tiling(9).cut(1700, 300)) == 6
    assert Tiling().cut(1700, 300) == [slice(0, 1700)]
    assert Tiling().cut(3 << 18, 1 << 16) == [slice(0, 6 << 16), slice(6 << 16, 12 << 16)]


@pytest.mark.parametrize("count", [1, 2, 3, None])
def test_tiles_change_no_byte(scene: GaussianScene, plain: bytes, count: int | None) -> None:
    """However many there are."""
    assert encoded(scene, Tiling(count)) == plain


def test_workers_change_no_byte(scene: GaussianScene, plain: bytes, tmp_path: Path) -> None:
    """Two of them, with the scene in scratch files."""
    assert encoded(scene, Tiling(3, Pool(2)), room=Room(tmp_path)) == plain


def test_tiles_of_fast_and_of_anchors() -> None:
    """What was measured of a scene is cut, too."""
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    from anchors import make_anchor_scene, small_views

    settings: dict[str, Any] = {
        **QUICK,
        "effort": "fast",
        "views": small_views(),
        "training": 12,
    }
    for scene in (make_scene(700, 0), make_anchor_scene(700)):
        whole = gscodec.encode(scene, "hemgs", **settings)
        made = codec.encode_with_report(scene, "hemgs", tiling=Tiling(2), **settings)
        assert made.data == whole


def test_a_dead_worker_is_replaced(
    scene: GaussianScene, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two, killed in the middle."""
    monkeypatch.setenv(dying.MARK, str(tmp_path / "dead"))
    monkeypatch.setattr(tiles, "coded_apart", dying.coded_or_dead)
    assert encoded(scene, Tiling(4, Pool(2))) == plain
    assert (tmp_path / "dead").exists()


def test_workers_can_be_ended() -> None:
    """By their pool, also where the run itself ignores SIGTERM."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert list(Pool(1).results(dying.can_be_ended, [(0, None)])) == [(0, True)]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_workers_that_always_die_are_told_of(
    scene: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some trials."""
    monkeypatch.setenv(dying.MARK, dying.ALWAYS)
    monkeypatch.setattr(tiles, "coded_apart", dying.coded_or_dead)
    with pytest.raises(OutOfMemoryError, match="4 workers died over it, probably for want"):
        encoded(scene, Tiling(1, Pool(1)))


def test_what_a_worker_refuses_can_be_set_aside() -> None:
    """Its error comes back as it was."""
    import pickle

    error = OutlyingError(np.array([3, 4]), "far away", "too far")
    found = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(found, OutlyingError)
    assert (found.rows.tolist(), found.reason, str(found)) == ([3, 4], "far away", "too far")


def test_a_run_goes_on_tile_by_tile(scene: GaussianScene, plain: bytes, tmp_path: Path) -> None:
    """And does not take what is damaged, or of another scene."""
    target = str(tmp_path / "a.gsz")
    first = Stopping(3)
    with pytest.raises(Interrupted):
        encoded(scene, Tiling(6, first, KeptTiles(target, resume=False)))
    kept = sorted(Path(f"{target}.tiles").iterdir())
    assert len(kept) == 3
    kept[0].write_bytes(kept[0].read_bytes()[:-50])
    other = Stopping(99)
    encoded(make_scene(1700, 1, seed=1), Tiling(6, other, KeptTiles(target, resume=True)))
    assert other.numbers == [0, 1, 2, 3, 4, 5]
    second, again = Stopping(99), KeptTiles(target, resume=True)
    assert encoded(scene, Tiling(6, second, again)) == plain
    assert second.numbers == [0, 3, 4, 5]
    again.remove()
    assert not list(tmp_path.iterdir())
    KeptTiles(target, resume=False).put("x", {"a": np.zeros(1)})
    assert KeptTiles(target, resume=False).get("x") is None


def test_on_the_command_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes; no state stays."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ply").write_bytes(write_ply(make_scene(3000, 0)))
    quick = ("--effort", "instant", "--quiet", "--threads", "1")
    assert cli("encode", "a.ply", "-o", "a.gsz", *quick).code == 0
    assert cli("encode", "a.ply", "-o", "b.gsz", *quick, "--tiles", "auto").code == 0
    assert cli("encode", "a.ply", "-o", "c.gsz", *quick, "--workers", "2", "--resume").code == 0
    made = {name: (tmp_path / name).read_bytes() for name in ("a.gsz", "b.gsz", "c.gsz")}
    assert len(set(made.values())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a.ply", *made}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tiles", "0"), "--tiles: found '0', expected auto, or 1 to 999"),
        (("--workers", "many"), "--workers: found 'many', expected 1 to 999, ray, or ray://"),
        (("--tiles", "2", "--effort", "high"), "code a scene as a whole; leave them out"),
        (("--workers", "2", "--method", "raw"), "code a scene as a whole; leave them out"),
        (("--resume",), "--resume: only effort high and --tiles have it"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "a.ply").write_bytes(write_ply(make_scene(10, 0)))
    result = cli("encode", str(tmp_path / "a.ply"), *options)
    assert result.code == 2
    assert message in result.err


def test_a_cluster_of_ray_changes_no_byte(
    scene: GaussianScene, plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two workers on this machine, one of which is killed in the middle."""
    ray = pytest.importorskip("ray")
    from gscodec.cluster import LOCAL, Cluster

    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    told = {"PYTHONPATH": path, dying.MARK: str(tmp_path / "dead")}
    monkeypatch.setattr(tiles, "coded_apart", dying.coded_or_dead)
    ray.init(num_cpus=2, log_to_driver=False, runtime_env={"env_vars": told})
    try:
        assert encoded(scene, Tiling(4, Cluster(LOCAL))) == plain
    finally:
        ray.shutdown()
    assert (tmp_path / "dead").exists()


def test_without_ray_the_way_out_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gscodec import cluster

    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    (tmp_path / "a.ply").write_bytes(write_ply(make_scene(10, 0)))
    result = cli("encode", str(tmp_path / "a.ply"), "--workers", "ray://nowhere:1")
    assert result.code == 2
    assert "pip install 'gscodec[cluster]'" in result.err
