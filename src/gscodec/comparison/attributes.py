"""How far each attribute of a scene is off, over Gaussians that were matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.comparison.matching import match
from gscodec.comparison.shapes import covariance_errors, opacities
from gscodec.report.compare_result import AttributeErrors, Deviation, MatchedBy
from gscodec.scene import sh_band

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float64]

_MAX_EXPONENT = 80.0  # a larger scale is no length


def attribute_errors(a: GaussianScene, b: GaussianScene) -> AttributeErrors:
    """Matches two scenes of finite values and measures ``b`` against ``a``, pair by pair."""
    pairs = match(a, b)
    errors = _errors(a, a.take(pairs.a), b.take(pairs.b)) if len(pairs) else ()
    unmatched = (len(a) - len(pairs), len(b) - len(pairs))
    return AttributeErrors(len(pairs), *unmatched, tuple(errors), MatchedBy.LIKENESS)


def _errors(whole: GaussianScene, a: GaussianScene, b: GaussianScene) -> Iterator[Deviation]:
    """``a`` and ``b`` hold the pairs in the same order, ``whole`` all of the first scene."""
    distances = np.linalg.norm(b.means.astype(np.float64) - a.means, axis=1)
    # As the encoder reports it: the middle one of all 3 N standard deviations.
    middle = float(np.median(whole.log_scales.astype(np.float64)))
    scale = np.exp(np.clip(middle, -_MAX_EXPONENT, _MAX_EXPONENT))
    yield deviation("position", "scene units", distances)
    yield deviation("position", "median Gaussian scales", distances / scale)
    yield deviation("opacity", "0 to 1", opacities(b) - opacities(a))
    yield deviation("covariance", "relative, Frobenius norm", covariance_errors(a, b))
    yield deviation("log-scales", "natural log, sorted", _sorted_scales(b) - _sorted_scales(a))
    yield deviation("SH dc", "coefficient", b.sh_dc.astype(np.float64) - a.sh_dc)
    for degree in range(1, max(a.sh_degree, b.sh_degree) + 1):
        difference = _coefficients(b, degree) - _coefficients(a, degree)
        yield deviation(f"SH {degree}", "coefficient", difference)


def deviation(name: str, unit: str, difference: Floats) -> Deviation:
    """Of differences of any shape, at least one number."""
    rms = float(np.sqrt(np.mean(np.square(difference))))
    return Deviation(name, unit, rms, float(np.abs(difference).max()))


def _sorted_scales(scene: GaussianScene) -> Floats:
    return np.sort(scene.log_scales.astype(np.float64), axis=1)


def _coefficients(scene: GaussianScene, degree: int) -> Floats:
    """(N, 2 degree + 1, 3): those of one degree, zero where the scene has no such degree."""
    if scene.sh_degree < degree:
        return np.zeros((len(scene), 2 * degree + 1, 3))
    band = sh_band(degree)
    return scene.sh_rest[:, band].astype(np.float64)
