"""Reading a recording: any format and rate that libsndfile knows, to mono float32."""

import errno
import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm._base.arrays import BoolArray, Float32Array, Float64Array
from voicegmm._base.checks import within
from voicegmm._base.errors import AudioError
from voicegmm.audio.containers import SoundBytes, sound_bytes
from voicegmm.audio.excerpt import MOST_CHANNELS, WHOLE, Excerpt
from voicegmm.audio.level import clipped_samples
from voicegmm.audio.resampling import rate_notes, resampled
from voicegmm.audio.signal import HIGHEST_RATE, LOWEST_RATE, Signal, first_not_finite

# Values, not frames: 64 channels take no more memory than one.
_BLOCK_VALUES = 1 << 18
# Above this a header does not know how long its file is (libsndfile then says 2^63 - 1).
_MOST_FRAMES = 1 << 40
# More of the samples than this in runs at full scale is clipping that can be heard.
CLIPPED_SHARE = 1e-3
# The largest sample that each coding can hold; 16 bits where it is not named.
_FULL_SCALE = {
    "PCM_S8": 127 / 128,
    "PCM_U8": 127 / 128,
    "ULAW": 32124 / 32768,
    "ALAW": 32256 / 32768,
}
# A float file may lawfully peak a little above 1; far above, its samples are no fractions.
_LOUDEST = 8.0
# An end in a list that lies more than that behind the recording's is that of another recording.
# Kaldi allows as much (extract-segments --max-overshoot).
_OVERSHOOT_SECONDS = 0.5


# Averaged channels that are this far below what channels without relation would give cancel each
# other: those of two have a correlation below -0.99.
_CANCELED = 0.01


@dataclass
class Tally:
    """What becomes known while the blocks of a file go by."""

    rate: int = 0  # of the samples that are given
    expected: int = 0  # samples, by the header
    n_frames: int = 0
    n_channels: int = 1
    n_clipped: int = 0
    peak: float = 0.0
    tail: BoolArray = field(default_factory=lambda: np.zeros((3, 1), dtype=bool))
    # Sums over the frames of each channel and of their average, and of the squares.
    sums: Float64Array = field(default_factory=lambda: np.zeros((2, 2)))
    notes: tuple[str, ...] = ()

    @property
    def clipped_share(self) -> float:
        """Of the samples, those in runs at full scale."""
        return self.n_clipped / max(1, self.n_frames * self.n_channels)


class Recording:
    """A recording on disk, read in blocks as often as they are asked for, at one rate.

    What does not need all samples at once takes them from here: an hour of sound is 230 MB at
    16 kHz. A `Signal` gives the same blocks from memory.

    Parameters
    ----------
    path : path
        See `read_signal`.
    sample_rate : int
        In hertz; see `read_signal`.
    n_held : int
        Of a recording of up to so many samples they are held in memory, once they have been read,
        for the next one who asks.
    excerpt : Excerpt
        Which part of the file it is.

    Attributes
    ----------
    source : str
    notes : tuple of str
        As those of `read_signal`; known once all blocks have been given.

    Raises
    ------
    OptionError
        As `read_signal`. What is wrong with the file is raised by `blocks`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        n_held: int = 0,
        excerpt: Excerpt = WHOLE,
    ) -> None:
        within("sample_rate", sample_rate, LOWEST_RATE, HIGHEST_RATE)
        self.source = str(path)
        self.sample_rate = sample_rate
        self.notes: tuple[str, ...] = ()
        self._path, self._excerpt, self._n_held = Path(path), excerpt, n_held
        self._held: list[Float32Array] | None = None

    def blocks(self) -> Iterator[Float32Array]:
        """Give the samples in their order, as mono blocks; at least one sample.

        Raises
        ------
        AudioError
            As `read_signal`; perhaps only after some blocks.
        """
        if self._held is not None:
            yield from self._held
            return
        tally, held, n = Tally(), [], 0
        for block in read_blocks(self._path, self.sample_rate, self._excerpt, tally):
            n += len(block)
            if n <= self._n_held:
                held.append(block.copy())
            yield block
        self.notes = tally.notes
        if n <= self._n_held:
            self._held = held


def read_signal(
    path: str | os.PathLike[str],
    sample_rate: int | None = None,
    channel: int = 0,
    start_seconds: float = 0.0,
    end_seconds: float = math.inf,
) -> Signal:
    """Read a recording as mono float32.

    The file is read in blocks, so memory is about that of the result.

    Parameters
    ----------
    path : path
        Any format, sample size (8 to 64 bits, integer or float) and rate that libsndfile reads.
    sample_rate : int, optional
        Resample to this rate in hertz (soxr, high quality). By default the file's own is kept.
    channel : int
        1 for the first, and so on; 0 for the average of all channels.
    start_seconds, end_seconds : float
        The part that is wanted; see `Excerpt`.

    Returns
    -------
    Signal
        Its notes tell of averaged channels, a rate below `sample_rate`, clipping (more than
        0.1 % of the file's own samples at full scale in runs of three or more), and of peaks
        above full scale.

    Raises
    ------
    AudioError
        Status "unreadable": missing, no regular file, empty, not audio, truncated, damaged, NaN
        or infinite samples, samples beyond 8 times full scale, a rate outside 1 to 768 kHz, more
        than 64 channels, fewer than `channel`, or channels whose average is silence because they
        cancel each other; a part that begins or ends behind the recording's end. Status "too
        short": not one sample.
    OptionError
        For a `sample_rate` outside 1 to 768 kHz, a `channel` outside 0 to 64, or a part that ends
        before it begins.
    """
    path = Path(path)
    if sample_rate is not None:
        within("sample_rate", sample_rate, LOWEST_RATE, HIGHEST_RATE)
    tally, excerpt = Tally(), Excerpt(start_seconds, end_seconds, channel)
    samples = _gathered(read_blocks(path, sample_rate, excerpt, tally), tally, path)
    return Signal(samples, tally.rate, str(path), tally.notes)


def read_blocks(
    path: Path, sample_rate: int | None, excerpt: Excerpt, tally: Tally
) -> Iterator[Float32Array]:
    """Give a file's samples as mono blocks at a rate, its own by default; see `read_signal`."""
    channel = excerpt.channel
    with _opened(path, _whole_file(path)) as handle:
        _refuse_absurd(handle, path, channel)
        tally.n_channels = handle.channels
        tally.rate = rate = sample_rate or handle.samplerate
        known = 0 <= handle.frames < _MOST_FRAMES
        if not known:
            # A FLAC from a pipe does not say how long it is, and cannot be searched; soundfile
            # searches before each read unless it is told so.
            handle.seekable = lambda: False
        most = _go_to_start(handle, path, excerpt, known)
        promised = None
        if known:
            promised = min(most, handle.frames - excerpt.samples(handle.samplerate)[0])
            tally.expected = 1 + promised * rate // handle.samplerate
        blocks = _mono_blocks(handle, path, excerpt, tally, most)
        n_given = 0
        for block in resampled(blocks, handle.samplerate, rate):
            n_given += len(block)
            yield block
        _refuse_missing_frames(handle, path, excerpt, tally, promised)
        if not n_given:
            raise AudioError(
                f"{path}: holds {tally.n_frames or 'no'} samples; record it again",
                status="too short",
            )
        if handle.channels > 1 and not channel:
            _refuse_canceled(path, tally)
        tally.notes = _notes(handle, channel, tally) + rate_notes(handle.samplerate, rate)


def _whole_file(path: Path) -> SoundBytes | None:
    """Refuse what is no file, an empty one, and a header that promises more than is there."""
    try:
        if path.is_dir():
            raise AudioError(f"{path}: is a folder; name the audio files in it")
        if not path.exists():
            raise AudioError(f"{path}: no such file; check the path")
        if not path.is_file():
            raise AudioError(f"{path}: is not a regular file; save the sound to a file first")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: is empty (0 bytes); copy or record it again")
        sizes = sound_bytes(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        code = getattr(error, "errno", None)
        remedy = "check its permissions" if code in (errno.EACCES, errno.EPERM) else "check it"
        raise AudioError(f"{path}: cannot be read ({reason}); {remedy}") from None
    if sizes is not None and sizes.promised is not None and sizes.promised > sizes.held:
        raise AudioError(
            f"{path}: is truncated: its header promises {sizes.promised} bytes of sound, the "
            f"file holds {sizes.held}; copy it again"
        )
    return sizes


class _LengthUnknown(io.FileIO):
    """A file in which four bytes read as ff: the largest length, which says "unknown"."""

    def __init__(self, path: Path, at: int) -> None:
        super().__init__(path)
        self._at = at

    def readinto(self, buffer: Any) -> int:
        """Read as a file does, then overwrite what of the four bytes lies in it."""
        start = self.tell()
        n = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        for place in range(max(start, self._at), min(start + n, self._at + 4)):
            view[place - start] = 0xFF
        return n


@contextmanager
def _opened(path: Path, sizes: SoundBytes | None) -> Iterator[Any]:
    import soundfile

    with ExitStack() as stack:
        try:
            # Bytes, because a name need not be valid UTF-8.
            source: Any = os.fsencode(path)
            if sizes is not None and sizes.unset_at is not None:
                # A WAV whose writer was stopped: libsndfile takes a length of 0 at its word.
                source = stack.enter_context(_LengthUnknown(path, sizes.unset_at))
            handle = stack.enter_context(soundfile.SoundFile(source))
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise AudioError(
                f"{path}: is not audio that can be read ({reason}); convert it to WAV or FLAC"
            ) from None
        yield handle


def _refuse_absurd(handle: Any, path: Path, channel: int) -> None:
    if not LOWEST_RATE <= handle.samplerate <= HIGHEST_RATE:
        raise AudioError(
            f"{path}: its header says {handle.samplerate} samples a second, outside "
            f"{LOWEST_RATE} to {HIGHEST_RATE}; the header is wrong, write the file again"
        )
    if handle.channels > MOST_CHANNELS:
        raise AudioError(
            f"{path}: its header says {handle.channels} channels, more than {MOST_CHANNELS}; "
            "the header is wrong, or extract the channel with the voice"
        )
    if channel > handle.channels:
        raise AudioError(
            f"{path}: has {handle.channels} channel{'s'[: handle.channels > 1]}, and channel "
            f"{channel} was asked for; choose another, or 0 for the average"
        )


def _go_to_start(handle: Any, path: Path, excerpt: Excerpt, known: bool) -> int:
    """Go to where a part begins, and tell how many frames it has at most."""
    start, stop = excerpt.samples(handle.samplerate)
    if known:
        _refuse_outside(path, excerpt, handle.frames, handle.samplerate)
        if start:
            with _damage(path, start / handle.samplerate):
                handle.seek(start)
        return _MOST_FRAMES if stop is None else min(stop, handle.frames) - start
    passed = 0
    while passed < start:
        block = _decoded(handle, path, min(start - passed, _BLOCK_VALUES // handle.channels))
        if not len(block):
            _refuse_outside(path, excerpt, passed, handle.samplerate)
            break
        passed += len(block)
    return _MOST_FRAMES if stop is None else stop - start


def _refuse_outside(path: Path, excerpt: Excerpt, n_frames: int, rate: int) -> None:
    """Refuse a part that begins behind the recording's end, or ends too far behind it."""
    start, stop = excerpt.samples(rate)
    if start >= n_frames > 0 or (stop or 0) - n_frames > _OVERSHOOT_SECONDS * rate:
        raise AudioError(
            f"{path}: {excerpt} is not within the recording, which ends at "
            f"{n_frames / rate:.2f} s; mend the list, or get the whole recording"
        )


def _decoded(handle: Any, path: Path, n_frames: int, passed: int = 0) -> Float32Array:
    """Give the next frames, at most so many, (n, n_channels); none at the end."""
    with _damage(path, passed / handle.samplerate):
        block: Float32Array = handle.read(n_frames, dtype="float32", always_2d=True)
    return block


@contextmanager
def _damage(path: Path, seconds: float) -> Iterator[None]:
    """Say of a decoder's error where it arose, and what helps."""
    import soundfile

    try:
        yield
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".")
        raise AudioError(
            f"{path}: is damaged or truncated: decoding failed in the part after "
            f"{seconds:.2f} s ({reason}); copy it again"
        ) from None


def _mono_blocks(
    handle: Any, path: Path, excerpt: Excerpt, tally: Tally, n_left: int
) -> Iterator[Float32Array]:
    """Decode block by block, average or choose the channels, count; refuse what is no number."""
    channel, start = excerpt.channel, excerpt.samples(handle.samplerate)[0]
    full_scale = np.float32(_FULL_SCALE.get(handle.subtype, 32767 / 32768))
    tally.tail = np.zeros((3, handle.channels), dtype=bool)
    tally.sums = np.zeros((2, handle.channels + 1))
    n_block = max(1, _BLOCK_VALUES // handle.channels)
    while n_left:
        at = start + tally.n_frames
        block = _decoded(handle, path, min(n_block, n_left), at)
        if not len(block):
            return
        n_left -= len(block)
        if (bad := first_not_finite(block)) is not None:
            seconds = (at + bad) / handle.samplerate
            raise AudioError(
                f"{path}: holds a NaN or infinite sample, the first at {seconds:.3f} s; "
                "write the file again"
            )
        size = np.abs(block)
        tally.peak = max(tally.peak, float(size.max()))
        if tally.peak > _LOUDEST:
            raise AudioError(
                f"{path}: a sample is {tally.peak:.3g} times full scale; float samples must lie "
                "between -1 and 1, scale them and write the file again"
            )
        full = size >= full_scale
        tally.n_clipped += clipped_samples(full, tally.tail)
        tally.tail = np.concatenate([tally.tail, full[-3:]])[-3:]
        tally.n_frames += len(block)
        if handle.channels == 1 or channel:
            yield block[:, max(channel, 1) - 1]
            continue
        average = block.mean(axis=1)
        for part, place in ((block, slice(0, -1)), (average[:, None], slice(-1, None))):
            tally.sums[0, place] += part.sum(axis=0, dtype=np.float64)
            tally.sums[1, place] += np.einsum("ij,ij->j", part, part, dtype=np.float64)
        yield average


def _refuse_canceled(path: Path, tally: Tally) -> None:
    """Refuse an average that is all but silent although the channels are not."""
    n = max(1, tally.n_frames)
    # About the means: opposite offsets may cancel, and the voice stays.
    *powers, average = (tally.sums[1] / n - np.square(tally.sums[0] / n)).tolist()
    if average < _CANCELED * sum(powers) / len(powers) ** 2:
        raise AudioError(
            f"{path}: its {len(powers)} channels cancel each other when they are averaged, as "
            "those of a cable with one side reversed do; extract one of them to a file of its own "
            "(in Python: read_signal(..., channel=1))"
        )


def _gathered(blocks: Iterable[Float32Array], tally: Tally, path: Path) -> Float32Array:
    """Put blocks end to end in one array of the expected length, growing it when needed."""
    whole = np.empty(0, dtype=np.float32)
    filled = 0
    for block in blocks:
        if not filled:
            whole = _room(tally.expected, path)
        end = filled + len(block)
        if end > len(whole):
            longer = np.empty(max(end, 2 * len(whole)), dtype=np.float32)
            longer[:filled] = whole[:filled]
            whole = longer
        whole[filled:end] = block
        filled = end
    return whole[:filled]


def _room(n_samples: int, path: Path) -> Float32Array:
    try:
        return np.empty(n_samples, dtype=np.float32)
    except MemoryError:
        raise AudioError(
            f"{path}: its header promises {n_samples} samples, more than memory holds; "
            "the header is wrong, or cut the recording into parts"
        ) from None


def _refuse_missing_frames(
    handle: Any, path: Path, excerpt: Excerpt, tally: Tally, promised: int | None
) -> None:
    """Refuse a file that holds fewer frames than its header, or the end of a part, says."""
    if promised is None:
        n_frames = excerpt.samples(handle.samplerate)[0] + tally.n_frames
        _refuse_outside(path, excerpt, n_frames, handle.samplerate)
    # An MP3 holds no count of its frames, only an estimate.
    elif tally.n_frames < promised and handle.format not in ("MP3", "MPEG"):
        raise AudioError(
            f"{path}: is truncated: its header promises {promised} samples"
            f"{'' if excerpt == WHOLE else f' in {excerpt}'}, {tally.n_frames} could be decoded; "
            "copy it again"
        )


def _notes(handle: Any, channel: int, tally: Tally) -> tuple[str, ...]:
    notes = []
    if handle.channels > 1 and channel:
        notes.append(f"channel {channel} of {handle.channels}")
    elif handle.channels > 1:
        notes.append(f"{handle.channels} channels averaged")
    share = tally.clipped_share
    if share > CLIPPED_SHARE:
        notes.append(f"clipped: {100 * share:.1f} % of the samples stand at full scale")
    if tally.peak > 1:
        notes.append(f"peaks at {tally.peak:.2f} times full scale")
    return tuple(notes)
