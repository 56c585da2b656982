"""The scores that a campaign file can name, for `tickets.catalogue.SCORES`: the function and a summary of one line."""

from __future__ import annotations

from collections.abc import Mapping

_ZHOU = "tickets.scores.criteria"
_LAYERS = "tickets.scores.layer_densities"

SCORE_LINES: Mapping[str, tuple[str, str]] = {
    # Of weights after training: Zhou et al. 2019, section 3.
    "magnitude": (f"{_ZHOU}:magnitude", "|trained weight|: the smallest go (Han et al. 2015)"),
    "random": (f"{_ZHOU}:random", "uniform random numbers: any may go"),
    "large_final": (f"{_ZHOU}:magnitude", "magnitude, by its name in Zhou et al. 2019"),
    "small_final": (f"{_ZHOU}:small_final", "-|trained weight|: the largest go (Zhou et al. 2019)"),
    "large_init": (f"{_ZHOU}:large_init", "|theta0|, the weight before any training (Zhou et al. 2019)"),
    "small_init": (f"{_ZHOU}:small_init", "-|theta0| (Zhou et al. 2019)"),
    "large_init_large_final": (
        f"{_ZHOU}:large_init_large_final",
        "min(a |trained|, |theta0|): large at both ends stay (Zhou et al. 2019)",
    ),
    "small_init_small_final": (
        f"{_ZHOU}:small_init_small_final",
        "-max(a |trained|, |theta0|): small at both ends stay (Zhou et al. 2019)",
    ),
    "magnitude_increase": (
        f"{_ZHOU}:magnitude_increase",
        "a |trained| - |theta0|: what grew least goes (Zhou et al. 2019)",
    ),
    "movement": (f"{_ZHOU}:movement", "|trained - theta0|: what moved least goes (Zhou et al. 2019)"),
    "large_final_same_sign": (
        f"{_ZHOU}:large_final_same_sign",
        "|trained weight| where it has theta0's sign, else 0 (Zhou et al. 2019)",
    ),
    "large_final_diff_sign": (
        f"{_ZHOU}:large_final_diff_sign",
        "|trained weight| where its sign is not theta0's, else 0 (Zhou et al. 2019)",
    ),
    # Of weights before any training.
    "snip": ("tickets.scores.saliency:snip", "|theta0 x gradient| (SNIP: Lee, Ajanthan & Torr 2019)"),
    "grasp": ("tickets.scores.saliency:grasp", "theta0 x (Hessian x gradient) (GraSP: Wang, Zhang & Grosse 2020)"),
    "synflow": ("tickets.scores.synflow:synflow", "SynFlow, in steps and without data (Tanaka et al. 2020)"),
    "erk": (f"{_LAYERS}:erk", "random places, layer densities by Erdos-Renyi-kernel (Evci et al. 2020); global scope"),
    "uniform": (f"{_LAYERS}:uniform", "random places, every layer the same density; global scope"),
}

RANDOM = ("random", "erk", "uniform")  # drawn: their lowest scores mean nothing
OF_LAYERS = ("erk", "uniform")  # they say how many weights each tensor keeps
# They compare a weight before and after training: without any, they are 0, or rank the weights by theta0 alone.
OF_TRAINING = ("magnitude_increase", "movement", "large_final_diff_sign")
