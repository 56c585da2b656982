"""Probes of the literature, written as a user would: what a campaign file names as "literature_probes:overlap"."""

from __future__ import annotations

import itertools
import math

import pandas as pd
import torch

from tickets.probes import Networks, at_steps


def connectivity(networks: Networks, points: int = 5):
    """The error barrier on the line to the same replicate's dense ticket (Frankle, Dziugaite, Roy & Carbin 2020)."""
    dense, examples = networks.earlier(0), networks.examples
    for index, label in enumerate(networks.labels):
        barrier = math.nan
        if dense is not None:
            other = [(end.replicate, end.arm) for end in dense.labels].index((label.replicate, "ticket"))
            ends = [(values[index], dense.values[name][other]) for name, values in networks.values.items()]
            at = torch.linspace(0, 1, points)
            path = {
                name: torch.stack([torch.lerp(one, two, float(t)) for t in at])
                for name, (one, two) in zip(networks.values, ends, strict=True)
            }
            error = 1 - networks.score(examples.test_inputs, examples.test_labels, path)[:, 1]
            barrier = error.max() - (error[0] + error[-1]) / 2
        yield {"network": index, "barrier": float(barrier)}


def overlap(networks: Networks):
    """The Jaccard index of the masks of each two networks, and that of two random masks."""
    masks = torch.cat([mask.flatten(1) for mask in networks.masks.values()], 1)
    for one, two in itertools.combinations(range(len(networks)), 2):
        other, density = networks.labels[two], networks.labels[one].density
        jaccard = (masks[one] & masks[two]).sum() / (masks[one] | masks[two]).sum()
        yield {
            "network": one, "with_replicate": other.replicate, "with_arm": other.arm,
            "jaccard": float(jaccard), "by_chance": density / (2 - density),
        }  # fmt: skip


@at_steps
def early_bird(networks: Networks, last: int = 5):
    """How far the mask that pruning would give now is from those of the last steps (You et al. 2020)."""
    masks = [torch.cat([m.flatten() for m in networks.next_masks(i).values()]) for i in range(len(networks))]
    now = torch.stack(masks)  # (R, n)
    before = networks.carry.get("masks", now[None][:0])  # (steps, R, n)
    networks.carry["masks"] = torch.cat([before, now[None]])[-last:]
    distances = (before != now).double().mean(2)  # (steps, R)
    for index in range(len(networks)):
        yield {"network": index, "distance": float(distances[:, index].max()) if len(before) else math.nan}


def predictions(networks: Networks):
    """How often each two networks disagree on test examples."""
    chosen = networks.logits(networks.examples.test_inputs).argmax(2)
    for one, two in itertools.combinations(range(len(networks)), 2):
        other = networks.labels[two]
        apart = (chosen[one] != chosen[two]).double().mean()
        yield {"network": one, "with_replicate": other.replicate, "with_arm": other.arm, "disagree": float(apart)}


@at_steps
def signs(networks: Networks):
    """The share of survivors whose sign training changed, and of those that have the dense ticket's final sign."""
    dense = networks.earlier(0)
    for index, label in enumerate(networks.labels):
        kept = torch.cat([mask[index].flatten() for mask in networks.masks.values()])
        now, first = (
            torch.cat([values[name][index].flatten() for name in networks.masks])[kept].sign()
            for values in (networks.values, networks.initial)
        )
        agree = math.nan
        if dense is not None:
            other = [end.replicate for end in dense.labels].index(label.replicate)
            end = torch.cat([dense.values[name][other].flatten() for name in networks.masks])[kept].sign()
            agree = float((now == end).double().mean())
        yield {"network": index, "flipped": float((now != first).double().mean()), "as_dense": agree}


def structure(networks: Networks) -> pd.DataFrame:
    """How many weights each unit of each layer has left."""
    tables = [
        pd.DataFrame(
            {"network": index, "layer": name, "unit": range(mask.shape[1]), "left": mask[index].flatten(1).sum(1)}
        )
        for name, mask in networks.masks.items()
        for index in range(len(networks))
    ]
    return pd.concat(tables)


@at_steps
def gradients(networks: Networks, examples: int = 50):
    """The length of the training loss's gradient by the surviving weights (Evci et al. 2022)."""
    x, y = networks.examples.train_inputs[:examples], networks.examples.train_labels[:examples]
    for index in range(len(networks)):
        module = networks.module(index)
        named = {name: parameter for name, parameter in module.named_parameters() if name in networks.masks}
        slopes = torch.autograd.grad(networks.loss(module(x), y), list(named.values()))
        squares = [(g[networks.masks[name][index]].double() ** 2).sum() for name, g in zip(named, slopes, strict=True)]
        yield {"network": index, "norm": float(sum(squares)) ** 0.5}


def sharpness(networks: Networks, iterations: int = 200, tolerance: float = 1e-5):
    """The largest eigenvalue of the Hessian of the training loss, by power iteration."""
    x, y = networks.examples.train_inputs[:50], networks.examples.train_labels[:50]
    for index in range(len(networks)):
        module, generator = networks.module(index), networks.generator(index)
        leaves = list(module.parameters())
        slopes = torch.autograd.grad(networks.loss(module(x), y), leaves, create_graph=True)
        flat = torch.cat([slope.flatten() for slope in slopes])
        vector, largest = torch.randn(len(flat), generator=generator), math.nan
        for _ in range(iterations if networks.finite[index] else 0):
            vector = vector / vector.norm()
            product = torch.autograd.grad(flat @ vector, leaves, retain_graph=True)
            after = torch.cat([part.flatten() for part in product])
            largest, before, vector = float(after @ vector), largest, after
            if abs(largest - before) <= tolerance * abs(largest):
                break
        yield {"network": index, "largest": largest}
