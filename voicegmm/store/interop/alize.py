"""ALIZE's RAW mixtures, which SIDEKIT writes too: MixtureGD, and MixtureGF of full covariances.

As in ``MixtureFileReaderRaw.cpp`` of ALIZE 3: two 4-byte counts (components, dimensions), the
weights, then of each component: the constant 1 / ((2 pi)^(D/2) |Sigma|^(1/2)), the determinant, a
byte (1: the covariances come next), the inverse covariances and the means; doubles throughout.
"""

import os
import struct

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import FloatArray
from voicegmm.mixture import DiagonalGMM, FullGMM
from voicegmm.store.interop.content import Content, opened
from voicegmm.store.interop.mixtures import (
    LOG_2_PI,
    Complaint,
    diagonal,
    full,
    inverses,
    log_determinants,
    verify,
)

# Of a determinant: beyond, ALIZE takes another into the constant (EPS_LK), and doubles end soon.
_LARGEST_LOG = 460.0
_TOLERANCE = 1e-6  # of a logarithm


def _layout(content: Content) -> tuple[np.dtype[np.void], str, int, bool] | None:
    """Find byte order, number of components and kind: those that give the file its size."""
    head = content.peek(8)
    if len(head) < 8:
        return None
    for order in "<>":
        n_components, n_dims = struct.unpack(f"{order}II", head)
        if not 0 < n_components * n_dims <= content.size // 16:
            continue
        for n_inverse, is_full in ((n_dims, False), (n_dims**2, True)):
            for n_given in (0, n_inverse):
                n_doubles = n_given + n_inverse + n_dims
                fits = content.size == 8 + n_components * (25 + 8 * n_doubles)
                if fits and _given(content, 8 + 8 * n_components + 16) == bool(n_given):
                    record = _record(f"{order}f8", n_given, n_inverse, n_dims)
                    return record, order, n_components, is_full
    return None


def _record(double: str, n_given: int, n_inverse: int, n_dims: int) -> np.dtype[np.void]:
    """Give the layout of a component."""
    return np.dtype(
        [
            ("constant", double),
            ("determinant", double),
            ("given", "u1"),
            ("covariances", double, (n_given,)),
            ("inverses", double, (n_inverse,)),
            ("means", double, (n_dims,)),
        ]
    )


def _given(content: Content, at: int) -> bool:
    """Look at the byte of the first component that says whether the covariances come next."""
    content.seek(at)
    found = content.peek(1) == b"\1"
    content.seek(0)
    return found


def is_alize(content: Content) -> bool:
    """Whether the counts tell just as many bytes as there are."""
    return _layout(content) is not None


def read_alize(path: str | os.PathLike[str]) -> DiagonalGMM | FullGMM:
    """Read a RAW mixture of ALIZE, of either byte order.

    Parameters
    ----------
    path : path

    Returns
    -------
    DiagonalGMM or FullGMM

    Raises
    ------
    FormatError
        If its size does not fit its counts, its constants do not fit its covariances, or its
        numbers are no mixture's.
    """
    with opened(path) as content:
        layout = _layout(content)
        if layout is None:
            raise content.error("the counts at its start do not give its size: not ALIZE's, or cut")
        record, order, n_components, is_full = layout
        content.seek(8)
        weights = content.array(f"{order}f8", n_components, "the weights")
        rows = content.array(record, n_components, "the components")
        precisions = _square(rows["inverses"], is_full)
        spreads = inverses(precisions, "inverse covariances", content.error)
        make = full if is_full else diagonal
        gmm = make(weights, rows["means"], spreads, content.error)
        log_dets = log_determinants(gmm)
        _verify_logs(rows["determinant"], log_dets, log_dets, "the determinant", content.error)
        constants = -0.5 * (gmm.n_dims * LOG_2_PI + log_dets)
        _verify_logs(rows["constant"], constants, log_dets, "the constant", content.error)
        return gmm


def _square(rows: FloatArray, is_full: bool) -> FloatArray:
    width = rows.shape[1]
    side = round(width**0.5)
    return rows.reshape(-1, side, side) if is_full else rows.astype(np.float64)


def _verify_logs(
    stated: npt.ArrayLike,
    logs: FloatArray,
    log_dets: FloatArray,
    name: str,
    complain: Complaint,
) -> None:
    """Compare constants with the logarithms they should have, where doubles can tell them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(np.asarray(stated, np.float64))
    told = np.abs(log_dets) < _LARGEST_LOG
    tolerance = _TOLERANCE * (1 + np.abs(log_dets))
    verify(np.where(told, found, logs), logs, tolerance, f"the log of {name}", complain)
