"""Mixtures in HTK's model files (MMF), as text: the HMM definition language (HTK Book 3.4, 7.10).

A mixture is what an emitting state holds. Of the language is read what diagonal mixtures of one
stream need: the macros ~o ~h ~s ~m ~u ~v ~t and the keywords within them. <GConst>, where it is
there, must be D log 2 pi + log |Sigma| (HTK Book, section 7.2).
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import FormatError
from voicegmm.mixture import DiagonalGMM
from voicegmm.store.interop.content import Content, opened
from voicegmm.store.interop.mixtures import LOG_2_PI, diagonal, log_determinants, verify

T = TypeVar("T")

_TOKEN = re.compile(r"""~\w|"[^"]*"|'[^']*'|<[^<>]*>|[^\s<>"'~]+""")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_TOLERANCE = 1e-4  # a dimension: HTK writes seven digits of each variance
_MOST_VALUES = 100_000  # numbers of a vector
_OTHER_COVARIANCES = ("fullc", "lltc", "xformc", "invdiagc")
_NOT_READ = ("invcovar", "lltcovar", "xform", "dprob", "tmix", "inputxform", "parentxform")


@dataclass(frozen=True, eq=False)
class _Gaussian:
    weight: float
    mean: Float64Array
    variance: Float64Array
    constant: float | None


def is_mmf(content: Content) -> bool:
    """Whether a file begins as a model file of HTK in text."""
    return re.match(rb"\s*~[a-z]\s", content.peek(64)) is not None


def read_mmf(path: str | os.PathLike[str]) -> dict[str, DiagonalGMM]:
    """Read the diagonal mixtures of an MMF.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to DiagonalGMM
        By the name of the model; where it has several emitting states, ``NAME.STATE``.

    Raises
    ------
    FormatError
        If it is not HTK's text, holds something else than diagonal mixtures of one stream, or a
        constant does not fit its variances; the line is named.
    """
    with opened(path) as content:
        mixtures = _Parser(content).mixtures()
    found = {}
    for name, gaussians in mixtures.items():

        def complain(message: str, name: str = name) -> FormatError:
            return FormatError(f"{path}: model {name}: {message}")

        if len({len(vector) for one in gaussians for vector in (one.mean, one.variance)}) != 1:
            raise complain("all means and variances must be as long")
        gmm = diagonal(
            [one.weight for one in gaussians],
            [one.mean for one in gaussians],
            [one.variance for one in gaussians],
            complain,
        )
        constants = gmm.n_dims * LOG_2_PI + log_determinants(gmm)
        told = [one.constant for one in gaussians]
        stated = np.where([one is None for one in told], constants, [one or 0.0 for one in told])
        tolerance = _TOLERANCE * (1 + gmm.n_dims)
        verify(stated, constants, tolerance, "<GConst>", complain)
        found[name] = gmm
    if not found:
        raise FormatError(f"{path}: no model (~h) in it has a state with a mixture")
    return found


class _Parser:
    """Goes through the tokens of an MMF."""

    def __init__(self, content: Content) -> None:
        self._path = content.path
        self._tokens = self._each_token(content)
        self._line = 1  # of the token that was read last
        self._next, self._next_line = next(self._tokens, ("", 1))
        self._macros: dict[tuple[str, str], Any] = {}

    @staticmethod
    def _each_token(content: Content) -> Iterator[tuple[str, int]]:
        for number in count(1):
            at = content.at
            line = content.line()
            if not line:
                return
            for token in _TOKEN.findall(content.decoded(line, "the text", at)):
                yield token, number

    def _error(self, message: str, back: int = 1) -> FormatError:
        """Make an error at the token that was read last (or the next: back 0)."""
        line = self._line if back else self._next_line
        return FormatError(f"{self._path}: line {line}: {message}")

    def _peek(self) -> str:
        return self._next

    def _take(self) -> str:
        found, self._line = self._next, self._next_line
        if not found:
            raise self._error("the file ends within a definition: cut off")
        self._next, self._next_line = next(self._tokens, ("", self._line))
        return found

    def _keyword(self) -> str:
        """Give the next token if it is a keyword, in lower case and without its brackets."""
        found = self._peek()
        return found[1:-1].strip().lower() if found.startswith("<") else ""

    def _is(self, keyword: str) -> bool:
        """Whether this keyword comes next; if so, go past it."""
        found = self._keyword() == keyword
        if found:
            self._take()
        return found

    def _demand(self, keyword: str) -> None:
        if self._keyword() in _NOT_READ:
            raise self._error(f"{self._peek()}: only diagonal mixtures are read", 0)
        if not self._is(keyword):
            raise self._error(f"<{keyword}> was expected, got {self._peek()[:40]!r}", 0)

    def _name(self) -> str:
        return self._take().strip("\"'")

    def _float(self) -> float:
        found = self._take()
        if not _NUMBER.fullmatch(found):
            raise self._error(f"a number was expected, got {found[:40]!r}")
        return float(found)

    def _count(self) -> int:
        found = self._take()
        if not (found.isdecimal() and len(found) < 10 and int(found) <= _MOST_VALUES):
            raise self._error(f"a count up to {_MOST_VALUES} was expected, got {found[:40]!r}")
        return int(found)

    def _floats(self, n_values: int) -> Float64Array:
        return np.array([self._float() for _ in range(n_values)], np.float64)

    def _item(self, letter: str, read: Callable[[], T]) -> T:
        """Read what stands here, or what was defined under the name that stands here."""
        if self._peek() != f"~{letter}":
            return read()
        self._take()
        name = self._name()
        if (letter, name) not in self._macros:
            raise self._error(f'~{letter} "{name}" is not defined before it is used')
        found: T = self._macros[letter, name]
        return found

    def mixtures(self) -> dict[str, list[_Gaussian]]:
        """Read the whole file: the Gaussians of each emitting state."""
        readers: dict[str, Callable[[], Any]] = {
            "h": self._states,
            "s": self._state,
            "m": self._gaussian,
            "u": lambda: self._vector("mean"),
            "v": lambda: self._vector("variance"),
            "t": self._transitions,
        }
        while self._peek():
            macro = self._take()
            letter = macro[1:]
            if macro == "~o":
                self._options()
            elif macro.startswith("~") and letter in readers:
                name = self._name()
                self._macros[letter, name] = readers[letter]()
            else:
                raise self._error(f"~o, ~{', ~'.join(readers)} are read, got {macro[:40]!r}")
        found = {}
        for (letter, name), states in self._macros.items():
            if letter == "h":
                for number, state in states.items():
                    found[name if len(states) == 1 else f"{name}.{number}"] = state
        return found

    def _options(self) -> None:
        """Go past what holds for all models; parameter and duration kinds say nothing to us."""
        while (keyword := self._keyword()) not in ("", "beginhmm", "numstates"):
            if keyword in _NOT_READ or keyword in _OTHER_COVARIANCES:
                raise self._error(f"{self._peek()}: only diagonal mixtures are read", 0)
            self._take()
            if keyword == "streaminfo":
                if self._count() != 1:
                    raise self._error("only models of one stream are read")
                self._count()
            elif keyword == "vecsize":
                self._count()
            elif keyword == "hmmsetid":
                self._name()

    def _states(self) -> dict[int, list[_Gaussian]]:
        self._options()
        self._demand("beginhmm")
        self._options()
        self._demand("numstates")
        self._count()
        states: dict[int, list[_Gaussian]] = {}
        while self._is("state"):
            number = self._count()
            states[number] = self._item("s", self._state)
        if self._keyword() == "transp" or self._peek() == "~t":
            self._item("t", self._transitions)
        if self._is("duration"):
            self._floats(self._count())
        self._demand("endhmm")
        return states

    def _state(self) -> list[_Gaussian]:
        n_mixtures = self._count() if self._is("nummixes") else 1
        if self._is("sweights"):
            self._floats(self._count())
        if self._is("stream") and self._count() != 1:
            raise self._error("only models of one stream are read")
        found: dict[int, _Gaussian] = {}
        if self._keyword() != "mixture":
            found[1] = self._item("m", self._gaussian)
        while self._is("mixture"):
            number, weight = self._count(), self._float()
            if not 1 <= number <= n_mixtures or number in found:
                raise self._error(
                    f"mixture {number} of {n_mixtures} is there twice, or must not be"
                )
            one = self._item("m", self._gaussian)
            found[number] = _Gaussian(weight, one.mean, one.variance, one.constant)
        if self._is("duration"):
            self._floats(self._count())
        return list(found.values())

    def _gaussian(self) -> _Gaussian:
        if self._is("rclass"):
            self._count()
        mean = self._item("u", lambda: self._vector("mean"))
        variance = self._item("v", lambda: self._vector("variance"))
        constant = self._float() if self._is("gconst") else None
        return _Gaussian(1.0, mean, variance, constant)

    def _vector(self, keyword: str) -> Float64Array:
        self._demand(keyword)
        return self._floats(self._count())

    def _transitions(self) -> None:
        self._demand("transp")
        n_states = self._count()
        self._floats(n_states * n_states)
