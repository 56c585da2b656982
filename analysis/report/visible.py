"""Text of other people, with every character that cannot be seen written as an escape.

Names in saved runs are anybody's. Control characters make XML that no reader takes, bidirectional overrides show a text
in another order than it has, lone surrogates have no UTF-8, and all of them hide that two names differ.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ODD = re.compile(r"[^\x20-\x7e]")
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that nothing is drawn for: joiners, fillers, variation selectors."""


def visible(text: str, keep: str = "") -> str:
    r"""Text with its invisible characters as Python writes them: `\x00`, `\n`, `\u202e`, `\ud800`.

    Invisible are control and format characters, surrogates, line separators, and code points that Unicode leaves
    without a character. Spaces of any width, combining marks and all scripts stay.

    Parameters
    ----------
    text : str
        The text.
    keep : str
        Further characters that stay, such as line breaks.
    """
    if text.isascii() and text.isprintable():
        return text
    return _ODD.sub(lambda match: match[0] if match[0] in keep else _seen(match[0]), text)


@lru_cache(maxsize=4096)
def _seen(letter: str) -> str:
    # Python counts spaces other than " " as not printable.
    if unicodedata.category(letter) == "Zs" or (letter.isprintable() and not _BLANK.match(letter)):
        return letter
    return ascii(letter)[1:-1]
