"""The scores that a campaign file can name."""

from __future__ import annotations

from collections.abc import Mapping

from tickets.catalogue.entry import Entry

SCORES: Mapping[str, Entry] = {
    # Of weights after training: Zhou et al. 2019, section 3.
    "magnitude": Entry("tickets.scores.criteria:magnitude", "|trained weight|: the smallest go (Han et al. 2015)"),
    "random": Entry("tickets.scores.criteria:random", "uniform random numbers: any may go"),
    "large_final": Entry("tickets.scores.criteria:magnitude", "magnitude, by its name in Zhou et al. 2019"),
    "small_final": Entry("tickets.scores.criteria:small_final", "-|trained weight|: the largest go (Zhou et al. 2019)"),
    "large_init": Entry(
        "tickets.scores.criteria:large_init", "|theta0|, the weight before any training (Zhou et al. 2019)"
    ),
    "small_init": Entry("tickets.scores.criteria:small_init", "-|theta0| (Zhou et al. 2019)"),
    "large_init_large_final": Entry(
        "tickets.scores.criteria:large_init_large_final",
        "min(a |trained|, |theta0|): large at both ends stay (Zhou et al. 2019)",
    ),
    "small_init_small_final": Entry(
        "tickets.scores.criteria:small_init_small_final",
        "-max(a |trained|, |theta0|): small at both ends stay (Zhou et al. 2019)",
    ),
    "magnitude_increase": Entry(
        "tickets.scores.criteria:magnitude_increase",
        "a |trained| - |theta0|: what grew least goes (Zhou et al. 2019)",
    ),
    "movement": Entry(
        "tickets.scores.criteria:movement", "|trained - theta0|: what moved least goes (Zhou et al. 2019)"
    ),
    "large_final_same_sign": Entry(
        "tickets.scores.criteria:large_final_same_sign",
        "|trained weight| where it has theta0's sign, else 0 (Zhou et al. 2019)",
    ),
    "large_final_diff_sign": Entry(
        "tickets.scores.criteria:large_final_diff_sign",
        "|trained weight| where its sign is not theta0's, else 0 (Zhou et al. 2019)",
    ),
    # Of weights before any training.
    "snip": Entry("tickets.scores.saliency:snip", "|theta0 x gradient| (SNIP: Lee, Ajanthan & Torr 2019)"),
    "grasp": Entry("tickets.scores.saliency:grasp", "theta0 x (Hessian x gradient) (GraSP: Wang, Zhang & Grosse 2020)"),
    "synflow": Entry("tickets.scores.synflow:synflow", "SynFlow, in steps and without data (Tanaka et al. 2020)"),
    "erk": Entry(
        "tickets.scores.layer_densities:erk",
        "random places, layer densities by Erdos-Renyi-kernel (Evci et al. 2020); global scope",
    ),
    "uniform": Entry(
        "tickets.scores.layer_densities:uniform", "random places, every layer the same density; global scope"
    ),
}

RANDOM = ("random", "erk", "uniform")  # drawn: their lowest scores mean nothing
OF_LAYERS = ("erk", "uniform")  # they say how many weights each tensor keeps
# They compare a weight before and after training: without any, they are 0, or rank the weights by theta0 alone.
OF_TRAINING = ("magnitude_increase", "movement", "large_final_diff_sign")
