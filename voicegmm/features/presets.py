"""Front ends by name: the presets of ``conf/features``, and files like them."""

from collections.abc import Sequence

from voicegmm._base.options import from_mapping
from voicegmm._base.presets import load_config, with_overrides
from voicegmm.features.pipeline import PipelineOptions


def load_front_end(name: str, settings: Sequence[str] = ()) -> PipelineOptions:
    """Read a front end by name or path.

    Parameters
    ----------
    name : str
        A preset's name, as "voicegmm-16k", or a path ending in .toml.
    settings : sequence of str
        ``key=value`` to lay over it, as "normalization.method=mean".

    Returns
    -------
    PipelineOptions

    Raises
    ------
    OptionError
        Naming the value that cannot be, what would be right, and where it stands.
    """
    config = with_overrides(load_config(name), settings)
    return from_mapping(PipelineOptions, config.values, str(config.path), sources=config.sources)
