"""Frames and mixtures of other programs: Kaldi, HTK, ALIZE, bob, SIDEKIT, scikit-learn, NumPy.

Files of strangers: nothing in them is run or unpickled, a size is believed only if the bytes are
there, and constants that follow from other numbers must fit them.
"""

from voicegmm.store.interop.alize import read_alize
from voicegmm.store.interop.content import ForeignArray
from voicegmm.store.interop.converting import (
    foreign_background,
    own_kind,
    own_mixtures,
    store_arrays,
    write_foreign_store,
)
from voicegmm.store.interop.hdf5_mixtures import read_hdf5_mixtures, write_bob, write_sidekit
from voicegmm.store.interop.htk import read_htk, read_htk_folder, write_htk, write_htk_recordings
from voicegmm.store.interop.htk_models import read_mmf
from voicegmm.store.interop.kaldi_archives import read_archive, read_script, write_archive
from voicegmm.store.interop.kaldi_mixtures import read_kaldi_mixture, write_kaldi_mixture
from voicegmm.store.interop.numpy_files import (
    read_npy,
    read_npz,
    read_npz_mixture,
    write_npz,
    write_npz_mixture,
)
from voicegmm.store.interop.reading import (
    from_scikit_learn,
    read_arrays,
    read_frames,
    read_mixtures,
)
from voicegmm.store.interop.recognition import ARRAYS, MIXTURES, recognize
from voicegmm.store.interop.writing import (
    WRITTEN_ARRAYS,
    WRITTEN_MIXTURES,
    diagonal_of,
    write_arrays,
    write_mixture,
)

__all__ = [
    "ARRAYS",
    "MIXTURES",
    "WRITTEN_ARRAYS",
    "WRITTEN_MIXTURES",
    "ForeignArray",
    "diagonal_of",
    "foreign_background",
    "from_scikit_learn",
    "own_kind",
    "own_mixtures",
    "read_alize",
    "read_archive",
    "read_arrays",
    "read_frames",
    "read_hdf5_mixtures",
    "read_htk",
    "read_htk_folder",
    "read_kaldi_mixture",
    "read_mixtures",
    "read_mmf",
    "read_npy",
    "read_npz",
    "read_npz_mixture",
    "read_script",
    "recognize",
    "store_arrays",
    "write_archive",
    "write_arrays",
    "write_bob",
    "write_foreign_store",
    "write_htk",
    "write_htk_recordings",
    "write_kaldi_mixture",
    "write_mixture",
    "write_npz",
    "write_npz_mixture",
    "write_sidekit",
]
