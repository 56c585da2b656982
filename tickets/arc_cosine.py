"""What a wide layer of Gaussian weights and ReLU does to the angle and the distance of two inputs: exact expectations.

The arc-cosine kernel of degree 1 (Cho & Saul, "Kernel methods for deep learning", NeurIPS 2009, sections 2.1 and 2.3).
For inputs x and y with the angle t between them, and a layer h(x) = max(W x, 0) of m units whose weights are
independent normal numbers with mean 0 and variance v:

    E[h(x) . h(y)] = m v |x| |y| J(t) / 2,    J(t) = (sin t + (pi - t) cos t) / pi,

so that E[|h(x)|**2] = m v |x|**2 / 2, and the cosine of the angle of h(x) and h(y) tends to J(t) as m grows. J is 1 at
0 degrees, 1 / pi at 90 and 0 at 180. Since J(t) > cos t but at 0, each layer brings directions nearer to each other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine_after(cosine: Tensor, layers: int = 1) -> Tensor:
    """The cosine of two inputs after infinitely wide layers: J, applied once for each layer.

    Parameters
    ----------
    cosine
        Of the angles before, any shape, float64. Rounding may have put them beyond -1 and 1.
    layers
        >= 0.
    """
    for _ in range(layers):
        inside = cosine.clamp(-1, 1)
        angle = inside.arccos()
        cosine = (angle.sin() + (math.pi - angle) * inside) / math.pi
    return cosine.clamp(-1, 1)


def distance_after(lengths: tuple[Tensor, Tensor], cosine: Tensor, width: int, mean_square: float | Tensor) -> Tensor:
    """The root of the expected square of the distance of h(x) and h(y), the same shape.

    Parameters
    ----------
    lengths
        |x| and |y|.
    cosine
        Of the angle of x and y.
    width
        The number of units m.
    mean_square
        The variance v of the weights.
    """
    one, other = lengths
    square = one.square() + other.square() - 2 * one * other * cosine_after(cosine)
    return (square.clamp(min=0) * mean_square * width / 2).sqrt()


def cosines(vectors: Tensor) -> Tensor:
    """The cosines of the angles of all pairs of rows, (n, n). vectors: (n, width) float64.

    Two rows of zeros have the cosine 1, since they are the same; one row of zeros has the cosine 0 with any other.
    """
    lengths = vectors.norm(dim=1)
    directions = torch.where(lengths[:, None] > 0, vectors / lengths[:, None], 0.0)
    zero = (lengths == 0).to(vectors.dtype)
    found: Tensor = (directions @ directions.T + zero[:, None] * zero).clamp(-1, 1)
    return found.fill_diagonal_(1.0)
