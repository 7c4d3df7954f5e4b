"""voicegmm: Gaussian mixture models of voices.

`import voicegmm` is instant: a room is loaded when something of it is first touched.
"""

import importlib
from typing import TYPE_CHECKING, Any

from voicegmm._base.version import __version__

if TYPE_CHECKING:
    from voicegmm.bank import VoiceBank, VoiceClassifier
    from voicegmm.mixture import DiagonalGMM
    from voicegmm.mixture.estimator import GaussianMixture

_HOMES = {
    "DiagonalGMM": "voicegmm.mixture",
    "GaussianMixture": "voicegmm.mixture.estimator",
    "VoiceBank": "voicegmm.bank",
    "VoiceClassifier": "voicegmm.bank",
}
_ROOMS = (
    "audio",
    "bank",
    "compute",
    "corpus",
    "experiment",
    "features",
    "metrics",
    "mixture",
    "plots",
    "scoring",
    "store",
    "subspace",
    "synthesis",
)

__all__ = ["DiagonalGMM", "GaussianMixture", "VoiceBank", "VoiceClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"voicegmm.{name}")
    raise AttributeError(f"module 'voicegmm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
