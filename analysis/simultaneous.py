"""Simultaneous intervals: one critical value for a family of comparisons, so that any false finding is rare."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from .intervals import moments

Floats = npt.NDArray[np.float64]

DRAWS = 10_000
"""Simulated data sets per critical value; the error rate is then met with a standard error of 0.0016."""

_SEED = 20_190_506
_CHUNK = 2_000_000  # simulated numbers at a time


@dataclass(frozen=True)
class MaxT:
    """The critical value and the adjusted p values of a family of k comparisons.

    Parameters
    ----------
    critical : float
        The half width of every simultaneous interval, in standard errors; NaN if no comparison has a t statistic.
    p_adjusted : ndarray, (k,)
        The two-sided p value of each comparison, adjusted for all of them; NaN where there is none.
    """

    critical: float
    p_adjusted: Floats


def max_t(differences: npt.ArrayLike, confidence: float = 0.95) -> MaxT:
    """Critical value and adjusted p values of a family of paired comparisons, by the single-step max-t method.

    The critical value c is the (1 + confidence) / 2 quantile of the largest of the k t statistics under the null
    hypothesis of every comparison. With probability (1 + confidence) / 2 or more, no lower limit m - c s / sqrt(n) lies
    above its true mean, whichever of the null hypotheses are false; the same holds for the upper limits. For one
    comparison c is Student's quantile.

    Parameters
    ----------
    differences : array_like, (k, replicates)
        One number per comparison and replicate; NaN where a pair is missing. Comparisons with fewer than two pairs, or
        whose differences are all equal, have no t statistic and are not in the family.
    confidence : float
        In (0, 1); 0.95 limits the chance of any lower limit above the true mean to 2.5 %.

    Returns
    -------
    MaxT
        The adjusted p value is 2 P(largest statistic >= |t|), at most 1; it is at most 1 - confidence exactly if the
        simultaneous interval excludes 0. It is 1 where all differences are 0, and NaN where they are all equal and not
        0, or fewer than two.

    Notes
    -----
    The reference distribution is a multivariate t, simulated: `DRAWS` normal data sets from a fixed seed, with the
    pairs, the missing pairs and the correlations of the family. The correlations are estimated, then shrunk towards 0
    in proportion to their estimated noise, which is large for few replicates; this makes intervals wider, never
    narrower.

    Sources: Westfall and Young, "Resampling-Based Multiple Testing" (1993), chapter 2; Hothorn, Bretz and
    Westfall, Biometrical Journal 50 (2008); for the shrinking, Schaefer and Strimmer, Stat. Appl. Genet. Mol.
    Biol. 4 (2005), article 32.
    """
    table = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    there = ~np.isnan(table)
    n, mean, error = moments(table)
    p = np.where((error == 0) & (mean == 0), 1.0, np.nan)
    testable = error > 0
    if not testable.any():
        return MaxT(np.nan, p)
    t = np.abs(mean[testable]) / error[testable]
    residuals = np.where(there, table - mean[:, None], 0.0)
    if testable.sum() == 1:
        degrees = float(n[testable][0] - 1)
        p[testable] = 2 * special.stdtr(degrees, -t)
        return MaxT(float(special.stdtrit(degrees, (1 + confidence) / 2)), p)
    correlation = _shrunk_correlation(residuals[testable], there[testable])
    largest = _largest(correlation.tobytes(), there[testable].tobytes(), there[testable].shape)
    above = len(largest) - np.searchsorted(largest, t, side="left")
    p[testable] = np.minimum(1.0, 2 * (above + 1) / (len(largest) + 1))
    # The smallest value whose own p is at most 1 - confidence: interval and p never disagree.
    beyond = int(np.floor((1 - confidence) / 2 * (len(largest) + 1) + 1e-9)) - 1
    return MaxT(float(largest[len(largest) - max(beyond, 1)]), p)


def _shrunk_correlation(residuals: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Correlations of k comparisons, (k, k), over the pairs that both have: shrunk towards 0, positive definite."""
    size = np.sqrt((residuals**2).sum(axis=1))
    unit = residuals / size[:, None]
    both = there.astype(np.float64)
    shared = both @ both.T
    left = (unit**2) @ both.T  # each row's squares, summed over the pairs that the other row has too
    scale = np.sqrt(left * left.T)
    observed = np.divide(unit @ unit.T, scale, out=np.zeros_like(scale), where=scale > 0).clip(-1, 1)
    noise = (1 - observed**2) ** 2 / np.maximum(shared - 1, 1)
    apart = ~np.eye(len(observed), dtype=bool)
    total = float((observed[apart] ** 2).sum())
    share = min(1.0, float(noise[apart].sum()) / total) if total > 0 else 1.0
    shrunk = np.where(apart, (1 - share) * observed, 1.0)
    values, vectors = np.linalg.eigh(shrunk)
    positive = (vectors * values.clip(1e-8)) @ vectors.T
    diagonal = np.sqrt(np.diag(positive))
    return np.asarray(positive / np.outer(diagonal, diagonal))


@lru_cache(maxsize=256)
def _largest(correlation: bytes, there: bytes, shape: tuple[int, int]) -> Floats:
    """The largest t statistic of each of DRAWS simulated families, sorted."""
    k, replicates = shape
    # Single precision is twice as fast, and its error is far below that of the number of draws.
    factor = np.linalg.cholesky(np.frombuffer(correlation).reshape(k, k)).T.astype(np.float32)
    present = np.frombuffer(there, dtype=bool).reshape(k, replicates).T.astype(np.float32)  # (replicates, k)
    n = present.sum(axis=0)
    generator = np.random.default_rng(_SEED)
    largest = []
    for start in range(0, DRAWS, step := max(1, _CHUNK // (k * replicates))):
        count = min(step, DRAWS - start)
        data = generator.standard_normal((count, replicates, k), dtype=np.float32) @ factor * present
        mean = data.sum(axis=1) / n
        squares = ((data - mean[:, None] * present) ** 2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # draws of two replicates can be equal in single precision
            largest.append((mean / np.sqrt(squares / (n * (n - 1)))).max(axis=1))
    return np.sort(np.concatenate(largest)).astype(np.float64)
