"""What the front end makes of a recording."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm._base.errors import AudioError
from voicegmm.audio import Signal, resample
from voicegmm.audio.framing import analysis_window, first_sample, frame_view
from voicegmm.features import NormalizationOptions, Pipeline, PipelineOptions, SpeechOptions
from voicegmm.features.pipeline import Segments
from voicegmm.features.plan import prepare
from voicegmm.features.static_options import CEPSTRA
from voicegmm.plots.canvas import COLORS, GRAY, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# No picture shows more; what there is more of is gathered into so many.
MOST_COLUMNS = 1600
SPECTROGRAM_DB = 70.0
FAINTEST_PEAK_DB = -40.0  # of a spectrum of samples of full scale 1: fainter ones stay dark


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a picture of a recording shows, over the times at which its frames are centered.

    Parameters
    ----------
    times : (n_frames,) float64 array
        In seconds.
    static : (n_frames, n_dims) float32 array
        Before deltas and normalization.
    weights : (n_frames,) float32 array
        Of speech; 0 where the frame was not kept.
    trouble : str
        Why no frame was kept; empty when some were.
    """

    times: Float64Array
    static: Float32Array
    weights: Float32Array
    trouble: str


def recording(
    signal: Signal,
    options: PipelineOptions | None = None,
    segments: Segments | None = None,
    *,
    title: str = "Recording",
) -> "Figure":
    """Draw a recording as the front end sees it, over one axis of time.

    From above: the waveform, its speech in color; the spectrogram; the static features, each
    dimension about its mean and in standard deviations; the weight of speech of each frame. A
    recording without speech is drawn too, and the figure says why it has none.

    Parameters
    ----------
    signal : Signal
        Of any rate; it is resampled when needed.
    options : PipelineOptions, optional
    segments : sequence of (start_seconds, end_seconds, label), optional
        See `voicegmm.features.Pipeline.extract`.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    AudioError
        With status "too short", when there is not one frame.
    OptionError
        As `voicegmm.features.Pipeline.extract`.
    """
    options = options or PipelineOptions()
    signal = resample(signal, options.sample_rate)
    seen = _seen(signal, options, segments)
    kept = f"{seen.weights.sum() * options.static.hop_seconds:.2f} s of speech"
    said = f"no speech found ({seen.trouble})" if seen.trouble else kept
    with style():
        figure, spare = new_figure(9.0, 7.6)
        figure.delaxes(spare)
        wave, spectrum, static, speech = figure.subplots(
            4, 1, sharex=True, height_ratios=(1.0, 1.7, 1.7, 0.6)
        )
        _draw_wave(wave, signal, seen)
        _draw_spectrogram(spectrum, signal, options)
        _draw_static(static, seen, options)
        _draw_speech(speech, seen)
        wave.set_title(title)
        outcome = "no speech found" if seen.trouble else kept
        wave.set_title(outcome, loc="right", fontsize="medium", color=GRAY)
        speech.set_xlim(0.0, signal.seconds)
        speech.set_xlabel("Time (s)")
        figure.align_ylabels()
    return finish(
        figure,
        f"Waveform, spectrogram, static features and speech weights of {signal.seconds:.2f} s of "
        f"sound at {signal.sample_rate} Hz: {said}, {len(seen.times)} frames of "
        f"{seen.static.shape[1]} dimensions.",
    )


def _seen(signal: Signal, options: PipelineOptions, segments: Segments | None) -> _Seen:
    everything = replace(
        options, speech=SpeechOptions("none"), normalization=NormalizationOptions("none")
    )
    all_frames = Pipeline(everything).extract(signal)
    weights, trouble = np.zeros(all_frames.n_total, dtype=np.float32), ""
    try:
        found = Pipeline(options).extract(signal, segments)
        weights[found.positions] = found.weights
    except AudioError as error:
        trouble = str(error)
    static, rate = options.static, options.sample_rate
    plan = prepare(static, rate)
    begin = first_sample(plan.n_window, plan.n_hop, static.snip_edges, static.padding)
    return _Seen(
        (begin + plan.n_window / 2 + all_frames.positions * plan.n_hop) / rate,
        all_frames.frames[:, : static.n_dims],
        weights[all_frames.positions],
        trouble,
    )


def _gathered(values: FloatArray, reduce: Callable[..., Any] = np.mean) -> Float64Array:
    """Reduce runs of rows so that there are no more than a picture shows."""
    n = -(-len(values) // MOST_COLUMNS)
    starts = range(0, len(values), n)
    return np.stack([reduce(values[start : start + n], axis=0) for start in starts])


def _draw_wave(axes: "Axes", signal: Signal, seen: _Seen) -> None:
    low, high = (_gathered(signal.samples, reduce) for reduce in (np.min, np.max))
    times = (np.arange(len(low)) + 0.5) * signal.seconds / len(low)
    speech = np.interp(times, seen.times, seen.weights) > 0
    axes.fill_between(times, low, high, color="#A0A0A0", linewidth=0.4)
    axes.fill_between(times, low, high, where=speech, color=COLORS[0], linewidth=0.4)
    highest = max(0.01, 1.05 * float(np.abs(signal.samples).max()))
    axes.set_ylim(-highest, highest)
    axes.set_ylabel("Amplitude")


def _draw_spectrogram(axes: "Axes", signal: Signal, options: PipelineOptions) -> None:
    plan = prepare(options.static, options.sample_rate)
    n_hop = max(plan.n_hop, -(-len(signal.samples) // MOST_COLUMNS))
    frames = frame_view(signal.samples, plan.n_window, n_hop, snip_edges=True)
    bins = np.fft.rfft(frames * analysis_window("hann", plan.n_window), n=plan.n_fft, axis=1)
    level = 20 * np.log10(np.maximum(np.abs(bins), 1e-9))
    level -= max(float(level.max()), FAINTEST_PEAK_DB)
    begin = (plan.n_window - n_hop) / 2 / signal.sample_rate
    end = begin + len(frames) * n_hop / signal.sample_rate
    image = axes.imshow(
        level.T,
        aspect="auto",
        origin="lower",
        cmap="magma",
        vmin=-SPECTROGRAM_DB,
        vmax=0.0,
        extent=(begin, end, 0.0, signal.sample_rate / 2000),
        interpolation="nearest",
    )
    axes.grid(visible=False)
    axes.set_ylabel("Frequency (kHz)")
    _color_bar(axes, image, "dB below the peak")


def _draw_static(axes: "Axes", seen: _Seen, options: PipelineOptions) -> None:
    values = _gathered(seen.static)
    values = values - seen.static.mean(axis=0, dtype=np.float64)
    values /= np.maximum(seen.static.std(axis=0, dtype=np.float64), 1e-6)
    half = options.static.hop_seconds / 2
    begin, end = float(seen.times[0]) - half, float(seen.times[-1]) + half
    image = axes.imshow(
        values.T,
        aspect="auto",
        origin="lower",
        cmap="RdBu_r",
        vmin=-3.0,
        vmax=3.0,
        extent=(begin, end, 0.5, values.shape[1] + 0.5),
        interpolation="nearest",
    )
    axes.grid(visible=False)
    kind = options.static.kind
    axes.set_ylabel(f"{kind.upper()} column" if kind in CEPSTRA else f"{kind.capitalize()} band")
    _color_bar(axes, image, "Standard deviations")


def _draw_speech(axes: "Axes", seen: _Seen) -> None:
    times, weights = _gathered(seen.times), _gathered(seen.weights)
    axes.fill_between(times, weights, step="mid", color=COLORS[0], linewidth=0.0)
    axes.set_ylim(0.0, 1.05)
    axes.set_yticks([0.0, 1.0])
    axes.set_ylabel("Speech")


def _color_bar(axes: "Axes", image: Any, unit: str) -> None:
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=18)
    bar.set_label(unit)
    bar.outline.set_visible(False)
