"""SynFlow on a network of two layers, against its scores in closed form; and on other layers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from candidates import CLASSES, after_round, at_start, inputs_of
from torch import Tensor, nn

from tickets.candidate import Candidate
from tickets.errors import InputError
from tickets.scores import named_score
from tickets.scores.synflow import synflow
from tickets.scoring import scores_of
from tickets.selection import mask_at_start


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors.values()])


def plain(values: dict[str, Tensor], mask: Tensor, total: int, steps: int, inverted: bool = False) -> Tensor:
    """The mask of both layers (72 weights), pruned in steps from `mask`, by scores in closed form.

    With an input of ones, the score of a weight is the sum of the products of all weights on the paths through it:
    |W1[h, i]| times the sum of column h of |W2|, and |W2[o, h]| times the hidden unit h, which also has its bias.
    """
    one, two = values["0.weight"].double().abs(), values["2.weight"].double().abs()
    surviving = int(mask.sum())
    for step in range(1, steps + 1):
        first, second = one * mask[:48].reshape(8, 6), two * mask[48:].reshape(3, 8)
        hidden = first.sum(1) + values["0.bias"].double().abs()
        scores = torch.cat([(first * second.sum(0)[:, None]).reshape(-1), (second * hidden).reshape(-1)])
        scores = -scores if inverted else scores
        scores[~mask] = -torch.inf
        keep = scores.argsort(descending=True, stable=True)[: round(surviving * (total / surviving) ** (step / steps))]
        mask = torch.zeros(72, dtype=torch.bool)
        mask[keep] = True
    return mask


def test_synflow_is_that_of_the_closed_form_in_100_steps() -> None:
    candidate = at_start(net, inputs_of(6), density=0.2)
    expected = plain(dict(candidate.values.theta0), torch.ones(72, dtype=torch.bool), candidate.budget.total, 100)
    assert int(expected.sum()) == candidate.budget.total == round(9.6) + round(4.8)
    found = mask_at_start("synflow", candidate)
    assert torch.equal(flat(found), expected)
    one_shot = mask_at_start("synflow", candidate, {"iterations": 1})
    assert not torch.equal(flat(one_shot), expected)


@pytest.mark.parametrize("at", ["theta0", "trained"])
def test_after_a_round_it_goes_on_from_the_rounds_mask(at: Any) -> None:
    mask = {"0.weight": torch.arange(48).reshape(8, 6) % 3 > 0, "2.weight": torch.ones(3, 8, dtype=torch.bool)}
    candidate = after_round(net, inputs_of(6), mask=mask, prune={"scope": "global", "rate": 0.6})
    kept = candidate.prune(synflow(candidate, iterations=7, at=at))
    assert torch.equal(flat(kept), plain(dict(candidate.values.at(at)), flat(mask), round(0.4 * 56), 7))
    assert not (flat(kept) & ~flat(mask)).any()


def test_inverted_the_highest_go_in_each_step() -> None:
    made = at_start(net, inputs_of(6), density=0.5)
    candidate = copy.copy(made)
    candidate.inverted = True
    expected = plain(dict(made.values.theta0), torch.ones(72, dtype=torch.bool), 36, 10, inverted=True)
    assert torch.equal(flat(mask_at_start("synflow", candidate, {"iterations": 10})), expected)


class Mixed(nn.Module):
    """Convolution, batch normalisation, dropout, attention with a mask, a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.dropout = nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.attention, self.cell = nn.MultiheadAttention(4, 2, batch_first=True), nn.GRU(4, 3, batch_first=True)
        self.out = nn.Linear(3, CLASSES)
        causal = torch.ones(6, 6, dtype=torch.bool).triu(1)
        self.register_buffer("causal", causal)
        self.register_buffer("infinite", torch.zeros(6, 6).masked_fill(causal, -torch.inf))

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.conv(x[:, None])).relu()).transpose(1, 2)
        x = self.attention(x, x, x, attn_mask=self.infinite, need_weights=False)[0]
        return self.out(self.cell(x)[0][:, -1])


def mixed(**more: Any) -> Candidate:
    include = ("attention.in_proj_weight", "cell.weight_*")
    return at_start(Mixed, inputs_of(6), include=include, density=0.3, **more)


def test_it_is_the_same_twice_with_dropout_and_masks_of_infinity_among_the_buffers() -> None:
    one, other = (mask_at_start("synflow", mixed(), {"iterations": 3}) for _ in range(2))
    assert set(one) == {
        "conv.weight", "attention.in_proj_weight", "attention.out_proj.weight", "cell.weight_ih_l0",
        "cell.weight_hh_l0", "out.weight",
    }  # fmt: skip
    assert int(flat(one).sum()) == mixed().budget.total
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["snip", "grasp", "erk", "uniform", "magnitude"])
def test_the_other_scores_take_the_same_layers(name: str) -> None:
    masks = mask_at_start(name, mixed())
    assert int(flat(masks).sum()) == mixed().budget.total


def test_where_no_path_is_left_all_scores_are_equal_and_the_count_is_exact() -> None:
    mask = {"0.weight": torch.zeros(8, 6, dtype=torch.bool), "2.weight": torch.ones(3, 8, dtype=torch.bool)}

    def unbiased() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, CLASSES))

    candidate = after_round(unbiased, inputs_of(6), mask=mask, prune={"scope": "global", "rate": 0.5})
    kept = flat(candidate.prune(synflow(candidate, iterations=4)))
    assert kept.tolist() == [False] * 48 + [True] * 12 + [False] * 12


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.out = nn.Embedding(6, 3), nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.embedding(x).mean(1))


def test_a_network_of_tokens_is_refused_and_has_other_scores() -> None:
    candidate = at_start(Tokens, torch.arange(90).reshape(30, 3) % 6, include=("embedding.weight",))
    told = r"^prune\.score = 'synflow': the network's inputs are whole numbers \(torch\.int64\), such as tokens, and"
    with pytest.raises(InputError, match=told):
        scores_of(named_score("synflow"), candidate, "prune.score = 'synflow'", "now")
    for name in ("snip", "grasp"):
        assert int(flat(mask_at_start(name, candidate)).sum()) == candidate.budget.total
