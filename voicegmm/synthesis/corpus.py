"""Write a whole artificial corpus: recordings, and the lists that recipes read."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from voicegmm._base.arrays import Float32Array
from voicegmm._base.checks import above, at_least, within
from voicegmm._base.errors import OptionError
from voicegmm.synthesis.degradation import (
    ChannelOptions,
    NoiseKind,
    add_noise,
    channel_filter,
    reverberate,
    set_level,
)
from voicegmm.synthesis.speech import speak
from voicegmm.synthesis.voice import SEXES, Sex, Voice, draw_voice, vary_voice

# Branches of the seed: what is drawn for one utterance never depends on how many others there are.
_TRIAL, _BACKGROUND = 0, 1
_ROOM_NOISES: Final[tuple[NoiseKind, ...]] = ("pink", "hum")
_PREFIXES: Final = {_TRIAL: "v", _BACKGROUND: "b"}


@dataclass(frozen=True)
class CorpusOptions:
    """What a corpus of artificial voices is made of.

    Parameters
    ----------
    seed : int
        The same options give the same bytes.
    n_speakers : int
        Voices that are enrolled and tested, v001 and so on; the odd ones are female.
    n_background : int
        Voices for the universal background model alone, b001 and so on.
    n_utterances : int
        Recordings of each voice.
    n_enrollment : int
        How many of them a model is made from; the others are tests. Below `n_utterances`.
    shortest_seconds, longest_seconds : float
        Length of a recording, drawn evenly.
    sample_rate : int
        Hz.
    between_voices : float
        How far voices of one sex lie apart, see `draw_voice`. People also differ in what this
        synthesizer does not draw (habits of articulation, timing, cavities above the larynx); the
        default makes up for it: it was chosen so that a GMM-UBM of 64 components errs in some
        3 to 10 % of the default trials.
    within_voice : float
        How far one voice moves from recording to recording, see `vary_voice`.
    lowest_snr_db, highest_snr_db : float
        How far the noise of the room, pink or hum, drawn for each recording, lies below the speech.
    lowest_level_db, highest_level_db : float
        RMS of a recording, drawn evenly.
    lowest_rt60_seconds, highest_rt60_seconds : float
        Reverberation of the room of each recording; both 0 for none.
    channel : ChannelOptions
        How far the microphones of the recordings differ.
    """

    seed: int = 0
    n_speakers: int = 24
    n_background: int = 24
    n_utterances: int = 8
    n_enrollment: int = 3
    shortest_seconds: float = 2.5
    longest_seconds: float = 4.0
    sample_rate: int = 16000
    between_voices: float = 1.5
    within_voice: float = 1.0
    lowest_snr_db: float = 15.0
    highest_snr_db: float = 30.0
    lowest_level_db: float = -32.0
    highest_level_db: float = -22.0
    lowest_rt60_seconds: float = 0.1
    highest_rt60_seconds: float = 0.3
    channel: ChannelOptions = field(default_factory=ChannelOptions)

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("n_speakers", self.n_speakers, 2)
        at_least("n_background", self.n_background, 1)
        at_least("n_utterances", self.n_utterances, 2)
        within("n_enrollment", self.n_enrollment, 1, self.n_utterances - 1)
        above("shortest_seconds", self.shortest_seconds, 0.0)
        at_least("longest_seconds", self.longest_seconds, self.shortest_seconds)
        within("sample_rate", self.sample_rate, 8000, 48000)
        at_least("between_voices", self.between_voices, 0.0)
        at_least("within_voice", self.within_voice, 0.0)
        at_least("highest_snr_db", self.highest_snr_db, self.lowest_snr_db)
        at_least("highest_level_db", self.highest_level_db, self.lowest_level_db)
        at_least("lowest_rt60_seconds", self.lowest_rt60_seconds, 0.0)
        at_least("highest_rt60_seconds", self.highest_rt60_seconds, self.lowest_rt60_seconds)
        if self.lowest_rt60_seconds == 0.0 < self.highest_rt60_seconds:
            raise OptionError("lowest_rt60_seconds must be above 0 where the highest is")


def write_corpus(
    folder: str | Path,
    options: CorpusOptions = CorpusOptions(),
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a corpus of artificial voices.

    `folder`/wavs/<voice>/<voice>_<number>.wav are 16-bit recordings. In `folder`/lists, with
    files relative to wavs: ubm.txt (the recordings of the background voices, one a line),
    enrol.tsv (`model<TAB>file`, with a header) and trials.txt (`label model file`; 1 is a target):
    each test against all models of its sex. Every file appears whole or not at all.

    Parameters
    ----------
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    options : CorpusOptions
        What to write.
    progress : callable, optional
        Told (files written, files in all) after each.
    """
    folder = Path(folder)
    voices = [(_TRIAL, index) for index in range(options.n_speakers)]
    voices += [(_BACKGROUND, index) for index in range(options.n_background)]
    total, done = len(voices) * options.n_utterances, 0
    for branch, index in voices:
        voice = corpus_voice(options, branch, index)
        (folder / "wavs" / _name(branch, index)).mkdir(parents=True, exist_ok=True)
        for number in range(options.n_utterances):
            samples = _record(options, voice, branch, index, number)
            _write_wav(folder / "wavs" / _file(branch, index, number), samples, options.sample_rate)
            done += 1
            if progress is not None:
                progress(done, total)
    _write_lists(folder / "lists", options)


def corpus_voice(options: CorpusOptions, branch: int, index: int) -> Voice:
    """Give one voice of a corpus.

    Parameters
    ----------
    options : CorpusOptions
        Of the corpus.
    branch : {0, 1}
        0 for the voices that are tested, 1 for the background.
    index : int
        Which, from 0.

    Returns
    -------
    Voice
    """
    rng = _generator(options, branch, index)
    return draw_voice(rng, _sex(index), options.between_voices)


def _record(
    options: CorpusOptions, voice: Voice, branch: int, index: int, number: int
) -> Float32Array:
    """Make one recording: the voice of that day, in a room, through a microphone, with noise."""
    rng = _generator(options, branch, index, number)
    rate = options.sample_rate
    seconds = float(rng.uniform(options.shortest_seconds, options.longest_seconds))
    today = vary_voice(voice, rng, options.within_voice)
    samples = speak(today, rng, seconds=seconds, sample_rate=rate).samples
    if options.highest_rt60_seconds > 0.0:
        rt60 = float(rng.uniform(options.lowest_rt60_seconds, options.highest_rt60_seconds))
        samples = reverberate(samples, rt60, rng, rate)
    samples = channel_filter(samples, rng, rate, options.channel)
    kind = _ROOM_NOISES[int(rng.integers(len(_ROOM_NOISES)))]
    snr_db = float(rng.uniform(options.lowest_snr_db, options.highest_snr_db))
    samples = add_noise(samples, snr_db, kind, rng, rate)
    samples = set_level(
        samples, float(rng.uniform(options.lowest_level_db, options.highest_level_db))
    )
    # A recordist turns it down rather than clip.
    peak = float(np.max(np.abs(samples)))
    return samples if peak <= 0.95 else samples * np.float32(0.95 / peak)


def _generator(options: CorpusOptions, *branch: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=branch))


def _sex(index: int) -> Sex:
    return SEXES[index % 2]


def _name(branch: int, index: int) -> str:
    return f"{_PREFIXES[branch]}{index + 1:03d}"


def _file(branch: int, index: int, number: int) -> str:
    return f"{_name(branch, index)}/{_name(branch, index)}_{number + 1:02d}.wav"


def _write_lists(folder: Path, options: CorpusOptions) -> None:
    numbers, speakers = range(options.n_utterances), range(options.n_speakers)
    background = [
        _file(_BACKGROUND, index, number)
        for index in range(options.n_background)
        for number in numbers
    ]
    enrollment = [
        f"{_name(_TRIAL, index)}\t{_file(_TRIAL, index, number)}"
        for index in speakers
        for number in numbers[: options.n_enrollment]
    ]
    trials = [
        f"{int(index == model)} {_name(_TRIAL, model)} {_file(_TRIAL, index, number)}"
        for index in speakers
        for number in numbers[options.n_enrollment :]
        for model in speakers
        if _sex(model) == _sex(index)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(folder / "ubm.txt", background)
    _write_text(folder / "enrol.tsv", ["model\tfile", *enrollment])
    _write_text(folder / "trials.txt", trials)


def _write_text(path: Path, lines: list[str]) -> None:
    aside = _aside(path)
    try:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _write_wav(path: Path, samples: Float32Array, sample_rate: int) -> None:
    import soundfile  # here, so that importing the room stays quick

    pcm = np.rint(samples * 32767.0).astype(np.int16)
    aside = _aside(path)
    try:
        soundfile.write(aside, pcm, sample_rate, subtype="PCM_16", format="WAV")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
