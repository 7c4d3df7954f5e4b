"""What a file of another program is, told by its content and never by its name."""

import os
import re
from pathlib import Path

from voicegmm._base.errors import FormatError
from voicegmm.store.encryption import START
from voicegmm.store.hdf5 import open_foreign
from voicegmm.store.interop.alize import is_alize
from voicegmm.store.interop.content import Content, opened
from voicegmm.store.interop.hdf5_mixtures import is_bob, sidekit_prefixes
from voicegmm.store.interop.htk import is_htk
from voicegmm.store.interop.htk_models import is_mmf
from voicegmm.store.interop.kaldi import BINARY
from voicegmm.store.interop.kaldi_mixtures import is_kaldi_mixture
from voicegmm.store.interop.numpy_files import MAGIC, ZIP_MAGICS, is_npz_mixture
from voicegmm.store.sealing import SEAL_START

ARRAYS = ("kaldi archive", "kaldi script", "htk", "htk folder", "npy", "npz")
MIXTURES = ("kaldi mixture", "htk models", "alize", "bob", "sidekit", "npz mixture")

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ENTRY = re.compile(rb"[^\s\0]+[ \t](\0B|[ \t]*\[)")
_SCRIPT = re.compile(rb"\S+[ \t]+(\S+(:\d+(\[[\d:,]+\])?|\.(ark|mat|vec))|[^\n]*\|)[ \t\r]*(\n|$)")


def recognize(path: str | os.PathLike[str]) -> str:
    """Tell what a file of frames or of a mixture is.

    Parameters
    ----------
    path : path

    Returns
    -------
    str
        One of `ARRAYS` or of `MIXTURES`; "voicegmm" for a file of ours, "hdf5" for another of
        HDF5; empty for what is none of them.

    Raises
    ------
    FormatError
        If it is missing, or a device or a pipe, or of bytes that nothing here writes; and for
        pickles, which are never opened.
    """
    kind = recognize_start(path)
    if kind != "hdf5":
        return kind
    with open_foreign(path) as file:
        if str(file.attrs.get("format", "")).startswith("voicegmm/"):
            return "voicegmm"
        if is_bob(file):
            return "bob"
        return "sidekit" if sidekit_prefixes(file) else "hdf5"


def recognize_start(path: str | os.PathLike[str]) -> str:
    """Tell the same by the bytes alone: of any HDF5 that it is "hdf5"."""
    if Path(path).is_dir():
        return "htk folder"
    with opened(path) as content:
        head = content.peek(max(len(SEAL_START), len(START)))
        if head.startswith(_PICKLES):
            raise FormatError(
                f"{path}: a pickle, which could run code and is never opened; write what it holds "
                "with voicegmm.store.interop (of a scikit-learn model: write_mixture of "
                "from_scikit_learn)"
            )
        if head.startswith(ZIP_MAGICS):
            return "npz mixture" if is_npz_mixture(path) else "npz"
        if head.startswith(MAGIC):
            return "npy"
        if head.startswith((SEAL_START, START)):
            return "voicegmm"
        return "hdf5" if head.startswith(_HDF5) else _of_bytes(content)


def _of_bytes(content: Content) -> str:
    if is_kaldi_mixture(content):
        return "kaldi mixture"
    start = content.peek(4096)
    if start.startswith(BINARY) or _ENTRY.match(start):
        return "kaldi archive"
    if is_mmf(content):
        return "htk models"
    if is_alize(content):
        return "alize"
    if is_htk(content):
        return "htk"
    if b"\0" in start:
        raise content.error(
            "not recognized: neither text nor what Kaldi, HTK, ALIZE, NumPy or HDF5 write; is "
            "it cut off?"
        )
    return "kaldi script" if _SCRIPT.match(start) else ""
