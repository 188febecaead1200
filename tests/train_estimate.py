"""Trains what effort instant knows of sensitivity: src/gscodec/fit/sensitivity.bin.

    python tests/train_estimate.py SCENE... --cache DIR --out FILE [--apart NAME...]

Each SCENE is a folder with a scene.ply. Its Gaussians are measured through virtual views, as
effort fast does it, once (``--cache``). The loss is what coding costs more where steps are
chosen by what is estimated: with r, measured over estimated, (r - ln r - 1) / (2 ln 2) bits a
value, so that levels are right on the mean, too; beyond `_LARGEST` it counts no more. ``--apart`` tells of some scenes by name what
an estimator costs there, on bits and in dB of the level, that was trained on all others.
The file is the definition of what is shipped; other versions of libraries may make another.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gscodec.disk.scenes import load_scene
from gscodec.fit.estimate import (
    HIDDEN,
    INPUTS,
    OUTPUTS,
    About,
    Estimator,
    estimator_of,
    inputs_of,
)
from gscodec.fit.gaussians import GaussianSource
from gscodec.fit.sensitivity import COHERENCE_DC, PRIOR, overlaps
from gscodec.fit.views import choose_views
from gscodec.geometry import along_curve
from scenes import gaussians

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    # Inputs, logarithms of ratios, and the closed form of positions.
    Measured = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]

_STEPS, _RATE, _ROWS = 1500, 1e-2, 512
_LARGEST = 30.0  # of r - ln r - 1, for no error is larger than the value


def measured(folder: Path, cache: Path) -> Measured:
    """Inputs and logarithms of ratios of a scene."""
    kept = cache / f"{folder.parent.name}-{folder.name}.npz"
    if not kept.exists():
        scene = gaussians(load_scene(str(folder / "scene.ply")).scene)
        scene = scene.take(along_curve(scene.means))
        views = choose_views(scene, None, "fast")
        source = GaussianSource.of(scene)
        pixels = source.seen(scene, views.measuring, views.how, 0, lambda _: None).pixels
        prior = source.weights
        rotation = pixels.rotation[:, 0], pixels.rotation[:, 1:].mean(axis=1)
        pairs = [
            (pixels.colour, prior.dc),
            (pixels.colour * (1 + COHERENCE_DC * (overlaps(pixels) - 1)), prior.dc),
            (pixels.opacity, prior.opacity),
            *zip(pixels.scale.T, prior.scale.T, strict=True),
            *zip(rotation, prior.rotation.T, strict=True),
            (_mean(pixels.position), _mean(prior.position)),
        ]
        wanted = np.log(np.stack([(a + PRIOR * b) / b for a, b in pairs], axis=1))
        np.savez(
            kept,
            inputs=inputs_of(scene, source, About.of(scene, np.arange(len(scene)))),
            wanted=wanted.astype(np.float32),
            position=_mean(prior.position),
        )
    data = np.load(kept)
    return data["inputs"], data["wanted"], data["position"]


def _mean(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the axes, where they are told one by one."""
    result: NDArray[np.float64] = position.reshape(len(position), -1).mean(axis=1)
    return result


def trained(pairs: Sequence[Measured]) -> bytes:
    """An estimator of some scenes, each of which counts the same."""
    rng = np.random.default_rng(0)
    some = [x[rng.integers(0, len(x), 20_000)] for x, _, _ in pairs]
    middle = np.concatenate(some).mean(axis=0)
    spread = np.concatenate(some).std(axis=0) + 1e-3
    generator = torch.Generator().manual_seed(0)
    torch.set_num_threads(1)
    start = torch.randn(INPUTS, HIDDEN, generator=generator) / INPUTS**0.5
    bias = torch.from_numpy(np.mean([y.mean(axis=0) for _, y, _ in pairs], axis=0))
    linear, second = torch.zeros(INPUTS, OUTPUTS), torch.zeros(HIDDEN, OUTPUTS)
    weights = [linear, bias, start, torch.zeros(HIDDEN), second]
    for array in weights:
        array.requires_grad_()
    linear, bias, first, first_bias, second = weights
    optimiser = torch.optim.Adam(weights, lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_STEPS + 1)
    for _ in range(_STEPS):
        rows = [rng.integers(0, len(x), _ROWS) for x, _, _ in pairs]
        parts = [(x[r], y[r]) for (x, y, _), r in zip(pairs, rows, strict=True)]
        inputs = (np.concatenate([x for x, _ in parts]) - middle) / spread
        x = torch.from_numpy(inputs.clip(-4, 4).astype(np.float32))
        wanted = torch.from_numpy(np.concatenate([y for _, y in parts]))
        out = x @ linear + bias + torch.tanh(x @ first + first_bias) @ second
        off = wanted - out
        loss = (off.clamp(max=6).exp() - off - 1).clamp(max=_LARGEST).mean()
        loss = loss + 1e-4 * linear.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    arrays = [middle, spread, *(w.detach().numpy() for w in weights)]
    levels = [_level_of_positions(pair, estimator_of(_bytes(arrays))) for pair in pairs]
    arrays[3][-1] -= np.mean(levels)
    return _bytes(arrays)


def _bytes(arrays: Sequence[NDArray[np.floating]]) -> bytes:
    return b"".join(np.asarray(a, "<f4").tobytes() for a in arrays)


def _level_of_positions(pair: Measured, estimator: Estimator) -> float:
    """Logarithm of the mean that is estimated over that measured: it is the mean that counts."""
    inputs, wanted, prior = pair
    found = (prior * np.exp(estimator(inputs)[:, -1].astype(np.float64))).mean()
    return float(np.log(found / (prior * np.exp(wanted[:, -1].astype(np.float64))).mean()))


def told(name: str, pair: Measured, data: bytes) -> str:
    """What the estimator of ``data`` costs on a scene."""
    inputs, wanted, _ = pair
    off = (wanted - estimator_of(data)(inputs)).astype(np.float64).clip(-30, 30)
    bits = (np.exp(off) - off - 1).mean(axis=0) / (2 * math.log(2))
    level = 10 * np.log10(np.exp(off).mean(axis=0))
    position = 10 / math.log(10) * _level_of_positions(pair, estimator_of(data))
    return (
        f"{name}: bits a value {np.round(bits, 2)}, level in dB {np.round(level, 1)}, of "
        f"positions together {position:.1f}"
    )


def main() -> None:
    """See the top."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--apart", nargs="*", default=[])
    chosen = parser.parse_args()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    pairs = {folder.name: measured(folder, chosen.cache) for folder in chosen.scenes}
    for name in chosen.apart:
        # mic and mic-small are one object.
        others = [p for n, p in pairs.items() if n.split("-")[0] != name.split("-")[0]]
        data = trained(others)
        chosen.out.with_suffix(f".{name}.bin").write_bytes(data)
        print(told(name, pairs[name], data), flush=True)
    data = trained(list(pairs.values()))
    chosen.out.write_bytes(data)
    print(len(data), "bytes", hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main()
