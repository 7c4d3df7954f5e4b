"""Front ends by name: the presets of ``conf/features``, and files like them."""

from collections.abc import Sequence
from pathlib import Path

from voicegmm._base.aliases import aliases_of
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
    aliases = aliases_of(PipelineOptions)
    config = with_overrides(load_config(name, aliases=aliases), settings, aliases)
    return from_mapping(PipelineOptions, config.values, str(config.path), sources=config.sources)


def front_end_for(recordings: Sequence[str | Path]) -> PipelineOptions:
    """Choose our 16 kHz or 8 kHz front end for recordings.

    Parameters
    ----------
    recordings : sequence of path
        The headers of up to 200 of them, evenly spread, are read; unreadable ones do not count.

    Returns
    -------
    PipelineOptions
        The preset voicegmm-8k where most are sampled at less than 16 kHz, else voicegmm-16k.
    """
    import soundfile

    step = max(len(recordings) // 200, 1)
    rates = []
    for path in recordings[::step]:
        try:
            rates.append(soundfile.info(str(path)).samplerate)
        except (soundfile.LibsndfileError, RuntimeError, OSError):
            continue
    narrow = sum(rate < 16_000 for rate in rates)
    return load_front_end("voicegmm-8k" if 2 * narrow > len(rates) else "voicegmm-16k")
