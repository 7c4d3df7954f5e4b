"""Kaldi's mixtures: DiagGmm and FullGmm, binary and text.

Kaldi keeps natural parameters: the inverse variances and the means times these. Its constants,
log w_k - (D log 2 pi + log |Sigma_k| + m_k' Sigma_k^-1 m_k) / 2 (``ComputeGconsts`` in
gmm/diag-gmm.cc), are not needed; where they are there they must fit.
"""

import os

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.errors import DataError
from voicegmm._base.files import whole_file
from voicegmm.mixture import DiagonalGMM, FullGMM, Mixture
from voicegmm.store.interop.content import Content, opened
from voicegmm.store.interop.kaldi import (
    BINARY,
    TextReader,
    binary,
    binary_packed,
    read_matrix,
    read_packed,
    read_vector,
    symmetric,
    text,
    text_packed,
    token,
)
from voicegmm.store.interop.mixtures import (
    LOG_2_PI,
    Complaint,
    diagonal,
    full,
    inverses,
    log_determinants,
    verify,
)

_STARTS = ("<DiagGMM>", "<DiagGMMBegin>", "<FullGMM>", "<FullGMMBegin>")
_ENDS = ("</DiagGMM>", "<DiagGMMEnd>", "</FullGMM>", "<FullGMMEnd>")
# Of the sum of the terms' sizes: they were added in single precision, in text to six digits.
_TOLERANCE = 1e-4


def is_kaldi_mixture(content: Content) -> bool:
    """Whether a file begins as one."""
    head = content.peek(64).removeprefix(BINARY).lstrip().split(maxsplit=1)
    return bool(head) and head[0].decode("latin-1") in _STARTS


class _Binary:
    """What a mixture is made of, read from the binary form."""

    def __init__(self, content: Content) -> None:
        content.take(2, "the mark of binary")
        self._content = content

    def word(self, *expected: str) -> str:
        return token(self._content, *expected)

    def vector(self) -> FloatArray:
        return read_vector(self._content)

    def matrix(self) -> FloatArray:
        return read_matrix(self._content)

    def packed(self, n_dims: int) -> FloatArray:
        del n_dims
        return read_packed(self._content)

    def ended(self) -> bool:
        return not self._content.left


class _Text:
    """The same from the text form, in single precision as Kaldi takes it."""

    def __init__(self, content: Content) -> None:
        self._text = TextReader(content)

    def word(self, *expected: str) -> str:
        return self._text.expect(*expected)

    def vector(self) -> FloatArray:
        return _rounded(self._text.vector())

    def matrix(self) -> FloatArray:
        return _rounded(self._text.matrix())

    def packed(self, n_dims: int) -> FloatArray:
        triangle = self.vector()
        if len(triangle) != n_dims * (n_dims + 1) // 2:
            raise self._text.error(
                f"a symmetric matrix of {n_dims} rows must be {n_dims * (n_dims + 1) // 2} "
                f"numbers, got {len(triangle)}"
            )
        return symmetric(triangle, n_dims)

    def ended(self) -> bool:
        return not self._text.word()


def read_kaldi_mixture(path: str | os.PathLike[str]) -> DiagonalGMM | FullGMM:
    """Read a DiagGmm or a FullGmm of Kaldi, binary or text.

    Parameters
    ----------
    path : path

    Returns
    -------
    DiagonalGMM or FullGMM

    Raises
    ------
    FormatError
        If it is neither, or is damaged: cut off, with constants that do not fit, or with numbers
        that are no mixture's.
    """
    with opened(path) as content:
        reader = _Binary(content) if content.peek(2) == BINARY else _Text(content)
        is_full = "Full" in reader.word(*_STARTS)
        constants: FloatArray | None = None
        if reader.word("<GCONSTS>", "<WEIGHTS>") == "<GCONSTS>":
            constants = reader.vector()
            reader.word("<WEIGHTS>")
        weights = reader.vector()
        reader.word("<MEANS_INVCOVARS>" if is_full else "<MEANS_INVVARS>")
        natural = reader.matrix()
        reader.word("<INV_COVARS>" if is_full else "<INV_VARS>")
        if natural.ndim != 2 or len(natural) != len(weights):
            raise content.error(f"{len(weights)} weights do not go with means {natural.shape}")
        if is_full:
            parts = [reader.packed(natural.shape[1]) for _ in weights]
            if any(part.shape != (natural.shape[1],) * 2 for part in parts):
                raise content.error(f"inverse covariances must have {natural.shape[1]} rows")
            precisions = np.array(parts)
        else:
            precisions = reader.matrix()
            if precisions.shape != natural.shape:
                raise content.error(f"inverse variances {precisions.shape}, means {natural.shape}")
        reader.word(*_ENDS)
        if not reader.ended():
            raise content.error("something follows the mixture")
        return _mixture(weights, natural, precisions, constants, content.error)


def _mixture(
    weights: FloatArray,
    natural: FloatArray,
    precisions: FloatArray,
    constants: FloatArray | None,
    complain: Complaint,
) -> DiagonalGMM | FullGMM:
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
        natural = natural.astype(np.float64)
        spreads = inverses(precisions, "inverse variances", complain)
        if spreads.ndim == 3:
            means = np.einsum("kij,kj->ki", spreads, natural)
            gmm: DiagonalGMM | FullGMM = full(weights, means, spreads, complain)
        else:
            gmm = diagonal(weights, natural * spreads, spreads, complain)
        expected, size = _constants(gmm, natural)
    if constants is not None:
        verify(constants, expected, _TOLERANCE * size, "<GCONSTS>", complain)
    return gmm


def _constants(gmm: DiagonalGMM | FullGMM, natural: FloatArray) -> tuple[Float64Array, FloatArray]:
    """Give Kaldi's constants, and how large the terms are that they are sums of."""
    log_dets = log_determinants(gmm)
    energy = (natural * gmm.means).sum(1)
    with np.errstate(divide="ignore"):
        logs = np.log(gmm.weights)
    constants = logs - 0.5 * (gmm.n_dims * LOG_2_PI + log_dets + energy)
    spread = np.abs(np.log(gmm.variances_by_dim())).sum(1)
    size = 1 + np.abs(np.nan_to_num(logs, neginf=0)) + gmm.n_dims + spread + np.abs(energy)
    return np.asarray(constants, np.float64), size


def write_kaldi_mixture(
    path: str | os.PathLike[str], gmm: Mixture, *, as_text: bool = False
) -> None:
    """Write a mixture as Kaldi does, in single precision: diagonal ones as DiagGmm, else FullGmm.

    Parameters
    ----------
    path : path
    gmm : Mixture
        A tied covariance is written for each component.
    as_text : bool

    Raises
    ------
    DataError
        If a number is too large for single precision.
    """
    if isinstance(gmm, DiagonalGMM):
        precisions: FloatArray = 1 / gmm.variances_by_dim()
        natural = gmm.means * precisions
        plain: DiagonalGMM | FullGMM = gmm
    else:
        covariances = full_covariances(gmm)
        precisions = np.linalg.inv(covariances)
        precisions = (precisions + np.swapaxes(precisions, 1, 2)) / 2
        natural = np.einsum("kij,kj->ki", precisions, gmm.means)
        plain = FullGMM(gmm.weights, gmm.means, covariances)
    constants, _ = _constants(plain, natural)
    kind = "Full" if precisions.ndim == 3 else "Diag"
    names = ("MEANS_INVCOVARS", "INV_COVARS") if kind == "Full" else ("MEANS_INVVARS", "INV_VARS")
    single = {
        "GCONSTS": _single(constants, "a constant"),
        "WEIGHTS": _single(gmm.weights, "a weight"),
        names[0]: _single(natural, "a mean over its variance"),
        names[1]: _single(precisions, "an inverse variance"),
    }
    parts = [f"<{kind}GMM> ".encode() + (b"\n" if as_text else b"")]
    for name, values in single.items():
        parts.append(f"<{name}> ".encode())
        if values.ndim == 3:
            parts += [text_packed(m).encode() if as_text else binary_packed(m) for m in values]
        else:
            parts.append(text(values).encode() if as_text else binary(values))
    parts.append(f"</{kind}GMM> ".encode() + (b"\n" if as_text else b""))
    with whole_file(path) as temporary:
        temporary.write_bytes((b"" if as_text else BINARY) + b"".join(parts))


def full_covariances(gmm: Mixture) -> Float64Array:
    """Give each component's covariance, (n_components, n_dims, n_dims), whatever their shape."""
    if isinstance(gmm, FullGMM):
        return gmm.covariances
    if isinstance(gmm, DiagonalGMM):
        return np.asarray(np.eye(gmm.n_dims) * gmm.variances_by_dim()[:, None], np.float64)
    shared: Float64Array = gmm.covariance  # type: ignore[attr-defined]
    return np.tile(shared, (gmm.n_components, 1, 1))


def _rounded(values: FloatArray) -> FloatArray:
    """Round to single precision; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32)


def _single(values: FloatArray, what: str) -> FloatArray:
    found = _rounded(values)
    if (np.isinf(found) & ~np.isinf(values)).any():
        raise DataError(f"{what} is too large for single precision, which Kaldi keeps")
    return found
