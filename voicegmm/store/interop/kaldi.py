"""Kaldi's matrices and vectors, one by one, in its binary and its text form.

As in Kaldi's ``matrix/kaldi-matrix.cc`` and ``matrix/compressed-matrix.cc``: a token says what
comes, and each size stands behind a byte that says how long the size is.
"""

import struct
from typing import Any

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm.store.interop.content import Content

BINARY = b"\0B"
_TOKEN_BYTES = 64
_FLOATS: dict[str, np.dtype[Any]] = {"F": np.dtype("<f4"), "D": np.dtype("<f8")}


def token(content: Content, *expected: str) -> str:
    """Read a word and the space after it; it must be one of these."""
    at = content.at
    found = content.until_space(_TOKEN_BYTES, "a token of Kaldi's")
    if found not in expected:
        raise content.error(f"{' or '.join(expected)} was expected, got {found!r}", at)
    return found


def _size(content: Content, what: str) -> int:
    at = content.at
    four, size = content.unpack("<bi", what)
    if four != 4 or size < 0:
        raise content.error(f"{what} is damaged", at)
    return int(size)


def read_vector(content: Content) -> FloatArray:
    """Read a binary vector, (n,) float array."""
    dtype = _FLOATS[token(content, "FV", "DV")[0]]
    return content.array(dtype, _size(content, "the size of a vector"), "a vector")


def read_matrix(content: Content) -> FloatArray:
    """Read a binary matrix, (n_rows, n_columns) float array, compressed or not."""
    kind = token(content, "FM", "DM", "CM", "CM2", "CM3")
    if kind.startswith("CM"):
        return _compressed(content, kind)
    n_rows = _size(content, "the number of rows")
    n_columns = _size(content, "the number of columns")
    values = content.array(_FLOATS[kind[0]], n_rows * n_columns, f"{n_rows} x {n_columns} values")
    return values.reshape(n_rows, n_columns)


def read_packed(content: Content) -> FloatArray:
    """Read a binary symmetric matrix, (n, n): its lower triangle stands there by rows."""
    dtype = _FLOATS[token(content, "FP", "DP")[0]]
    n_rows = _size(content, "the size of a symmetric matrix")
    return symmetric(content.array(dtype, n_rows * (n_rows + 1) // 2, "a symmetric matrix"), n_rows)


def symmetric(triangle: FloatArray, n_rows: int) -> FloatArray:
    """Make a symmetric matrix of its lower triangle by rows."""
    full = np.empty((n_rows, n_rows), triangle.dtype)
    rows, columns = np.tril_indices(n_rows)
    full[rows, columns] = triangle
    full[columns, rows] = triangle
    return full


def read_any(content: Content) -> FloatArray:
    """Read whichever binary matrix or vector comes next."""
    head = content.peek(3)
    return read_vector(content) if head in (b"FV ", b"DV ") else read_matrix(content)


def _compressed(content: Content, kind: str) -> Float32Array:
    """Read a compressed matrix as Kaldi does, in single precision.

    CM: a byte for each value, and four 16-bit quantiles for each column that say what bytes 0, 64,
    192 and 255 stand for. CM2, CM3: 16 or 8 bits for each value, from the least to the largest.
    """
    at = content.at
    low, span, n_rows, n_columns = content.unpack("<ffii", "the header of a compressed matrix")
    if min(n_rows, n_columns) < 0:
        raise content.error("the size of a compressed matrix is damaged", at)
    codes = np.dtype("<u2") if kind == "CM2" else np.dtype("u1")
    marks = content.array("<u2", 4 * n_columns if kind == "CM" else 0, "its quantiles")
    values = content.array(codes, n_rows * n_columns, "a compressed matrix").astype(np.float32)
    if not values.size:
        return np.empty((0, n_columns), np.float32)
    low, span = np.float32(low), np.float32(span)
    with np.errstate(over="ignore", invalid="ignore"):  # `checked` refuses what comes of it
        if kind != "CM":
            step = np.float32(np.float64(span) / np.iinfo(codes).max)
            return np.asarray(low + values * step, np.float32).reshape(n_rows, n_columns)
        quantiles = low + span * np.float32(1.52590218966964e-05) * marks.astype(np.float32)
        return _between(quantiles.reshape(n_columns, 4, 1), values.reshape(n_columns, n_rows))


def _between(quantiles: Float32Array, codes: Float32Array) -> Float32Array:
    """Turn the codes of each column into values between its quantiles."""
    p0, p25, p75, p100 = quantiles.transpose(1, 0, 2)
    lower = p0 + (p25 - p0) * codes * (1 / 64)
    middle = p25 + (p75 - p25) * (codes - 64) * (1 / 128)
    upper = p75 + (p100 - p75) * (codes - 192) * (1 / 63)
    decoded = np.where(codes <= 64, lower, np.where(codes <= 192, middle, upper))
    return np.ascontiguousarray(decoded.T, np.float32)


class TextReader:
    """Kaldi's text form, by words and by rows of numbers."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._words: list[str] = []
        self._line_at = content.at
        self._in_line = 0

    def _next_line(self) -> bool:
        self._line_at = self._content.at
        line = self._content.line()
        self._words = self._content.decoded(line, "Kaldi's text", self._line_at).split()[::-1]
        self._in_line += bool(line)
        return bool(line)

    def word(self) -> str:
        """Give the next word; empty at the end of the file."""
        while not self._words:
            if not self._next_line():
                return ""
        return self._words.pop()

    def expect(self, *expected: str) -> str:
        """Read a word, which must be one of these."""
        found = self.word()
        if found not in expected:
            raise self.error(f"{' or '.join(expected)} was expected, got {found[:40]!r}")
        return found

    def error(self, message: str) -> Exception:
        """Make an error that names the file, the line and where the line begins."""
        return self._content.error(f"line {self._in_line}: {message}", self._line_at)

    def rows(self) -> tuple[list[Float64Array], bool]:
        """Read from "[" to "]".

        Returns
        -------
        rows : list of (n,) float64 array
            Those that hold a number.
        in_one_line : bool
            Whether all of it stands in one line, as a vector does.
        """
        self.expect("[")
        first = self._in_line
        rows: list[Float64Array] = []
        while True:
            row: list[float] = []
            closed = False
            while self._words and not closed:
                word = self._words.pop()
                closed = word == "]"
                if not closed:
                    row.append(self._number(word))
            if row:
                rows.append(np.array(row))  # a fourth of what a list takes
            if closed:
                return rows, self._in_line == first
            if not self._next_line():
                raise self.error("the file ends before a ]: cut off")

    def _number(self, word: str) -> float:
        try:
            return float(word)
        except ValueError:
            raise self.error(f"a number was expected, got {word[:40]!r}") from None

    def array(self) -> FloatArray:
        """Read a matrix, or a vector: what stands in one line."""
        rows, in_one_line = self.rows()
        if in_one_line:
            return rows[0] if rows else np.empty(0)
        if len({len(row) for row in rows}) > 1:
            raise self.error("the rows of a matrix must have as many numbers each")
        return np.array(rows, np.float64)

    def end_line(self) -> None:
        """Refuse what still stands in the line."""
        if self._words:
            raise self.error(f"the line must end with ], got {self._words[-1][:40]!r}")

    def vector(self) -> FloatArray:
        """Read numbers in a row."""
        return np.concatenate([np.empty(0), *self.rows()[0]])

    def matrix(self) -> FloatArray:
        """Read a matrix, though it be of one line."""
        return np.atleast_2d(self.array())


def binary(values: FloatArray) -> bytes:
    """Write a matrix or a vector in Kaldi's binary form, of the precision it has."""
    letter = "F" if values.dtype == np.float32 else "D"
    sizes = b"".join(struct.pack("<bi", 4, size) for size in values.shape)
    kind = f"{letter}{'M' if values.ndim == 2 else 'V'} "
    return kind.encode() + sizes + bytes(values.astype(_FLOATS[letter]).tobytes())


def binary_packed(values: FloatArray) -> bytes:
    """Write a symmetric matrix in Kaldi's binary form, single precision."""
    triangle = values[np.tril_indices(len(values))].astype("<f4")
    return b"FP " + struct.pack("<bi", 4, len(values)) + bytes(triangle.tobytes())


def text(values: FloatArray) -> str:
    """Write a matrix or a vector in Kaldi's text form, in as many digits as tell it exactly."""
    if values.ndim == 1:
        return f" [ {_digits(values)} ]\n"
    return " [\n  " + "\n  ".join(_digits(row) for row in values) + " ]\n"


def text_packed(values: FloatArray) -> str:
    """Write a symmetric matrix in Kaldi's text form: its lower triangle by rows."""
    rows = [_digits(row[: number + 1]) for number, row in enumerate(values)]
    return "[\n" + "\n".join(rows) + " ]\n"


def _digits(values: FloatArray) -> str:
    return " ".join(str(value) for value in values)
