"""Names that were probably mistyped, and the hint "did you mean …?".

`nearest` and `hint` serve an error that is raised anyway: the suggestion is the most similar word, by difflib's ratio,
regardless of the case of its letters. `corrected` decides whether a name is an error. Similarity is too weak for
that, because ids often differ by intent (`bank-0041` and `bank-0042`, `carrier-a` and `carrier-b`). So only one typing
error counts: in a word of ≥ 4 letters, one letter that is wrong, missing, extra or swapped with its neighbour; or one
dash that is missing or extra between letters. Numbers and shorter words distinguish ids.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Iterable, Iterator
from string import ascii_lowercase
from typing import Final

from sycee.core.errors import UsageError

RATIO_MIN: Final = 0.6  # similarity of a suggestion, difflib.SequenceMatcher.ratio
WORD_LETTERS_MIN: Final = 4


def nearest(word: str, words: Iterable[str], *, ratio_min: float = RATIO_MIN) -> str | None:
    """Return the most similar of `words`; None if none reaches `ratio_min`."""
    by_folded = {each.casefold(): each for each in sorted(words, reverse=True)}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=ratio_min)
    return by_folded[matches[0]] if matches else None


def hint(word: str, words: Iterable[str], otherwise: str) -> str:
    """Return `did you mean "…"?` with the nearest of `words`; `otherwise` if none is near."""
    near = nearest(word, words)
    return f'did you mean "{near}"?' if near else otherwise


def require(word: str, words: Collection[str], problem: str, otherwise: str) -> None:
    """Raise UsageError with this problem and `hint` unless the word is one of `words`."""
    if word not in words:
        raise UsageError(problem, hint=hint(word, words, otherwise))


def corrected(id: str, declared: Container[str]) -> str | None:
    """Return the declared id that `id` is one typing error away from; None if there is none.

    Every possible correction is looked up, so the cost depends on the length of `id`, not on how many are declared.
    """
    return next((each for each in _corrections(id) if each in declared), None)


def _corrections(id: str) -> Iterator[str]:
    words = id.split("-")
    for index, word in enumerate(words):
        if len(word) < WORD_LETTERS_MIN or not word.isalpha():
            continue
        for other in _corrections_of_word(word):
            yield "-".join((*words[:index], other, *words[index + 1 :]))
    for index in range(1, len(id) - 1):
        if id[index] == "-" and id[index - 1].isalpha() and id[index + 1].isalpha():
            yield id[:index] + id[index + 1 :]
        elif id[index - 1 : index + 1].isalpha():
            yield f"{id[:index]}-{id[index:]}"


def _corrections_of_word(word: str) -> Iterator[str]:
    for index in range(len(word) + 1):
        before, after = word[:index], word[index:]
        for letter in ascii_lowercase:
            yield before + letter + after
            if after:
                yield before + letter + after[1:]
        if after and len(word) > WORD_LETTERS_MIN:
            yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
