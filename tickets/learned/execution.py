"""The gradients of scores, straight through the choice of the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tickets.learned.learning import Learning
from tickets.learned.masks import highest, inverse_density, logistic, probabilities, sample
from tickets.seeds import stream
from tickets.stack.evaluation import Logits
from tickets.stack.execution import Execution
from tickets.stack.networks import Noise, Tensors, Unreached


class MaskLearning:
    """See Execution: here the trained parameters are the scores of the weights.

    A network computes with w = c * v * mask, where v are its fixed values and c is n_all / n_kept with rescaling and 1
    without. On the way back the mask counts as a differentiable function a(score), so that a score s gets

        dL/ds = dL/dw * c * v * a'(s),

    for every weight, whether the mask keeps it or not:

    - edge_popup: a = abs(s), so a' = sign(s), as in the authors' program; the choice itself is the identity.
    - supermask: a = p = sigmoid(s + offset), so a' = p (1 - p).

    The offset and c count as constants. Their own gradients would move all scores of a tensor alike, and the offset
    takes that back.
    """

    def __init__(
        self,
        execution: Execution,
        fixed: Tensors,
        counts: Mapping[str, Tensor],
        learning: Learning,
        seeds: Sequence[int] = (),
    ) -> None:
        """Parameters
        ----------
        execution
            Computes the gradients of the weights.
        fixed
            The values of the weights, kept and left out, (R, *shape), by the name of the tensor.
        counts
            How many weights each network keeps of each tensor, (R,) int64.
        learning
            How the masks are learned.
        seeds
            Of a supermask's sample that is saved: one for each network.
        """
        self._execution, self._fixed, self._counts, self._learning = execution, fixed, counts, learning
        self._noise = {
            name: logistic(values, [stream(seed, name) for seed in seeds])
            for name, values in (fixed if learning.method == "supermask" else {}).items()
        }
        self._weights = {name: torch.zeros_like(values).requires_grad_() for name, values in fixed.items()}
        self._exact: tuple[Tensors, Tensors] | None = None  # until the next step

    def gradients(self, scores: Tensors, buffers: Tensors, x: Tensor, y: Tensor, noise: Noise) -> Unreached:
        """See Execution.gradients; `scores` are its parameters."""
        self._exact = None
        masks, slopes = self._chosen(scores, noise)
        factors = self._set(masks)
        unreached = self._execution.gradients(self._weights, buffers, x, y, noise)
        for name, score in scores.items():
            gradient = self._weights[name].grad
            score.grad = None if gradient is None else gradient * self._fixed[name] * slopes[name]
            if score.grad is not None and name in factors:
                score.grad *= factors[name]
        return unreached

    @torch.no_grad()
    def logits(self, scores: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        """See Execution.logits: of the networks as they would be saved.

        NaN for a network whose scores are not finite: its training has diverged, though its weights are what they were.
        """
        weights, _ = self.exact(scores)
        return self._outputs(weights, scores, buffers, x)

    @torch.no_grad()
    def sampled_logits(self, scores: Tensors, buffers: Tensors, seeds: Sequence[int]) -> Logits:
        """As `logits`, of the networks with a sample of each network's masks; until the next use of another mask.

        seeds: one for each network.
        """
        self._exact = None
        chances = {name: probabilities(score, self._counts[name]) for name, score in scores.items()}
        self._set(dict(zip(chances, sample(list(chances.values()), seeds), strict=True)))
        return lambda x: self._outputs(self._weights, scores, buffers, x)

    def _outputs(self, weights: Tensors, scores: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        outputs = self._execution.logits(weights, buffers, x)
        lost = ~torch.stack([score.flatten(1).isfinite().all(1) for score in scores.values()]).all(0)
        if bool(lost.any()):
            outputs = outputs.clone()
            outputs[lost] = torch.nan
        return outputs

    def exact(self, scores: Tensors) -> tuple[Tensors, Tensors]:
        """The weights and the masks that would be saved now: of each tensor exactly as many as its count.

        A supermask is trained to compute well with samples of its masks, and not with the most probable weights. Saved
        is one such sample, whose random numbers are the same at every step.
        """
        if self._exact is None:
            with torch.no_grad():
                noisy = {name: scores[name] + noise for name, noise in self._noise.items()} or scores
                masks = {name: highest(self._learning.method, noisy[name], self._counts[name]) for name in scores}
                self._set(masks)
            self._exact = {name: weight.detach() for name, weight in self._weights.items()}, masks
        return self._exact

    def _chosen(self, scores: Tensors, noise: Noise) -> tuple[Tensors, Tensors]:
        """The masks of a step, and the derivatives a'(s)."""
        if self._learning.method == "edge_popup":
            masks = {name: highest("edge_popup", score, self._counts[name]) for name, score in scores.items()}
            return masks, {name: score.detach().sign() for name, score in scores.items()}
        chances = {name: probabilities(score, self._counts[name]) for name, score in scores.items()}
        networks = len(next(iter(chances.values())))
        seeds = [stream(noise(index), "supermask") for index in range(networks)]
        drawn = sample(list(chances.values()), seeds)
        return dict(zip(chances, drawn, strict=True)), {name: p * (1 - p) for name, p in chances.items()}

    @torch.no_grad()
    def _set(self, masks: Tensors) -> Tensors:
        """Write the weights that the masks leave, exactly 0 elsewhere. Returns c by tensor, {} without rescaling."""
        rescaled = masks if self._learning.rescale else {}
        factors = {name: inverse_density(mask).to(self._fixed[name]) for name, mask in rescaled.items()}
        for name, weight in self._weights.items():
            weight.copy_(self._fixed[name])
            if name in factors:
                weight *= factors[name]
            weight.masked_fill_(~masks[name], 0.0)
        return factors
