"""A saved campaign whose names are markup, scripts, formulas and commands, as `make_report` reads it."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import tickets

GOLDEN = Path(__file__).parent / "golden" / "schema-1" / "units" / "saved"

MARKUP = [
    "</title><script>document.documentElement.dataset.ran = 1</script>",
    "\"><img src=x onerror='document.documentElement.dataset.ran = 2'>",
    "' onmouseover='document.documentElement.dataset.ran = 3' x='",
    "javascript:document.documentElement.dataset.ran=4",
    "</style><style>body { display: none }</style>",
    "</text></svg><script>alert(5)</script>",
    "]]><b>bold</b><!-- -->",
    "&lt;script&gt;&#60;b&#62;&amp;",
    "{{ 7 * 7 }}{% raw %}<base href='//evil.example/'>",
]
TEXT = [
    "$x^$",
    "\\input{/etc/passwd} 100 % # & ~ ^ _ { } ``q'' --",
    "=cmd|' /C calc'!A0",
    '+1;=1+1\t-2\r@x;"=1',
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "line\nbreak",
    "nul\x00bell\x07escape\x1b[31m",
    "lone \ud800 surrogate \ufffe",
    "right to left \u202egnp.exe",
    "combining e\u0301\u0301\u0301, 模型, 😀, \U000e0001",
    "_hidden",
    "id=\"x\" #1f2328 'DejaVu Sans', serif url(#a)",
]
NAMES = [*MARKUP, *TEXT]
LONG = "long" * 2500
STARTS = "".join(name for name in TEXT if name.isascii())  # tables of pandas have no lone surrogates
RUNS = ["../../</script><script>alert(6)</script>", "..\\..\\</script>!<script>alert(6)?</script>"]  # one slug

TENSORS = {"layers.0.weight": "".join(MARKUP), "layers.1.weight": "=cmd|' /C calc'!A0", "layers.2.weight": "$x^$\x00"}


class HostileSaved:
    """Stands in for `Saved`: the golden run twice, under other names and with starts of its own.

    Parameters
    ----------
    numbers
        numbers(table) changes each table.
    """

    def __init__(self, numbers=lambda table: table):
        self._saved = tickets.load(GOLDEN)
        (self._run,) = self._saved.runs
        self._numbers = numbers
        self.folder, self.runs = Path("runs"), sorted(RUNS)
        self.damaged = {"".join(MARKUP): "".join(TEXT)}
        self.probes = dict.fromkeys(self._saved.probes, self.runs)
        self._tensors = {}

    def file(self, run):
        """The content of run.json."""
        file = copy.deepcopy(self._saved.file(self._run))
        config = file["config"]
        config["name"] = "".join([*NAMES, LONG])
        config["arms"] = [{"name": "ticket"}, {"name": "sign_constant", "label": "".join(MARKUP)}]
        config["model"]["init"] = {"name": NAMES[self.runs.index(run)], STARTS: "".join(MARKUP)}
        config["model"]["option"] = "".join(NAMES)
        config["data"]["name"] = "".join(MARKUP) + STARTS
        config["".join(NAMES)] = {"".join(MARKUP): NAMES}
        config["verdict"] = {"controls": ["".join(MARKUP), *(name for name in TEXT if name.isascii())]}
        file["fingerprint"] = {name: name for name in NAMES}
        return file

    def config(self, run):
        """Its configuration."""
        return self.file(run)["config"]

    def _renamed(self, table):
        def of(run):
            arms = table["arm"].astype(str).replace({"sign_constant": "".join(MARKUP)})
            return self._numbers(table.assign(run=run, arm=arms))

        import pandas as pd

        return pd.concat([of(run) for run in self.runs], ignore_index=True)

    rounds = property(lambda self: self._renamed(self._saved.rounds))
    curves = property(lambda self: self._renamed(self._saved.curves))
    units = property(lambda self: self._renamed(self._saved.units))

    def probe(self, name):
        """The table of a probe."""
        return self._renamed(self._saved.probe(name))

    def ticket(self, replicate, round, run):
        """A network, with other names of its tensors."""
        return self._network(self._saved.ticket(replicate, round))

    def arm(self, arm, replicate, round, draw, run):
        """As `ticket`."""
        name = "sign_constant" if arm == "".join(MARKUP) else arm
        return self._network(self._saved.arm(name, replicate, round, draw))

    def _network(self, network):
        names = dict(zip(network.mask, TENSORS.values(), strict=True))

        def named(arrays):
            return arrays and {names.get(name, name): array for name, array in arrays.items()}

        return SimpleNamespace(**{key: named(getattr(network, key)) for key in ("mask", "values", "trained")})

    def coverage(self, run):
        """What is prunable."""
        return SimpleNamespace(sentence="".join(NAMES), warning="".join(NAMES))

    def notes(self, run):
        """Remarks."""
        return NAMES

    def registered(self, run):
        """When the rule was recorded."""
        return 0
