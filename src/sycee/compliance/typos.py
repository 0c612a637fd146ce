"""Which declared id a slip of the pen was meant to be.

Not by likeness alone: ids of many things are alike on purpose (`bank-0041` and `bank-0042`, `carrier-a` and
`carrier-b`). A slip is one letter of a word that is wrong, missing, too much, or in its neighbour's place, or a dash
between letters that is. Numbers, and words of less than four letters, tell things apart. Every slip that an id can be
is looked up, so that a large network costs no more than a small one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from string import ascii_lowercase
from typing import Final

WORD_LETTERS_MIN: Final = 4


def meant(id: str, declared: Container[str]) -> str | None:
    """The declared id that this one is a slip away from; None if there is none."""
    return next((each for each in _around(id) if each in declared), None)


def _around(id: str) -> Iterator[str]:
    words = id.split("-")
    for place, word in enumerate(words):
        if len(word) < WORD_LETTERS_MIN or not word.isalpha():
            continue
        for other in _of_word(word):
            yield "-".join((*words[:place], other, *words[place + 1 :]))
    for place in range(1, len(id) - 1):
        if id[place] == "-" and id[place - 1].isalpha() and id[place + 1].isalpha():
            yield id[:place] + id[place + 1 :]
        elif id[place - 1 : place + 1].isalpha():
            yield f"{id[:place]}-{id[place:]}"


def _of_word(word: str) -> Iterator[str]:
    for place in range(len(word) + 1):
        before, after = word[:place], word[place:]
        for letter in ascii_lowercase:
            yield before + letter + after
            if after:
                yield before + letter + after[1:]
        if after and len(word) > WORD_LETTERS_MIN:
            yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
