"""A signal in pieces gives the frames of the whole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.audio import Signal
from voicegmm.features import (
    DeltaOptions,
    NormalizationOptions,
    Pipeline,
    PipelineOptions,
    PitchOptions,
    RastaOptions,
    SpeechOptions,
    StaticOptions,
    Stream,
    load_front_end,
)
from voicegmm.features.power_spectra import IMAGINARY

RATE = 8000
ALL = SpeechOptions("none")
KALDI = SpeechOptions("kaldi", mean_scale=0.0, min_range_db=0.0, min_speech_seconds=0.0)


def voice(n_samples, seed=0):
    """Noise whose loudness moves by 40 dB, so that the threshold lies inside."""
    rng = np.random.default_rng(seed)
    knots = np.arange(0, n_samples + 999, 999)
    loudness = 10 ** np.interp(np.arange(n_samples), knots, rng.uniform(-3, -1, len(knots)))
    return (loudness * rng.standard_normal(n_samples)).astype(np.float32)


def in_pieces(options, samples, cuts, segments=None):
    stream = Stream(options, segments)
    sets = [stream.push(piece) for piece in np.split(samples, sorted(cuts))]
    return [*sets, stream.flush()]


def joined(sets):
    return tuple(
        np.concatenate([getattr(part, name) for part in sets])
        for name in ("frames", "weights", "positions")
    )


static = st.builds(
    StaticOptions,
    window_seconds=st.sampled_from([0.025, 0.025125, 0.005]),
    hop_seconds=st.sampled_from([0.010, 0.0076, 0.0301]),
    snip_edges=st.booleans(),
    padding=st.sampled_from(["reflection", "zeros", "zeros_after"]),
    energy=st.sampled_from(["c0", "log_energy"]),
    raw_energy=st.booleans(),
    windowed_energy=st.booleans(),
    dc_divisor=st.sampled_from(["window", "n_fft"]),
    n_fft=st.just(512),
    n_cepstra=st.sampled_from([3, 5]),
    kind=st.sampled_from(["mfcc", "plp", "filterbank", "centroids"]),
    n_filters=st.just(12),
    lpc_order=st.just(5),
    filter_floor=st.just(1.0),
    dither=st.sampled_from([0.0, 0.0, 1.0, 30.0]),
    dither_seed=st.integers(0, 3),
    dither_generator=st.sampled_from(["pcg64", "mt19937"]),
    precision=st.sampled_from(["single", "double"]),
)
rasta = st.builds(
    RastaOptions,
    st.sampled_from(["none", "filterbank", "static"]),
    st.sampled_from([0.0, 0.94]),
    st.booleans(),
)
delta = st.builds(
    DeltaOptions,
    order=st.integers(0, 2),
    window=st.integers(1, 3),
    rule=st.sampled_from(["kaldi", "htk", "shifted"]),
    shifted_columns=st.just(2),
    shifted_spread=st.integers(1, 2),
    shifted_step=st.integers(1, 3),
    shifted_blocks=st.integers(1, 4),
)
speech = st.one_of(
    st.just(ALL),
    st.builds(
        replace,
        st.just(KALDI),
        threshold=st.sampled_from([17.0, 19.0]),
        context_frames=st.integers(0, 4),
        output=st.sampled_from(["mask", "weight"]),
    ),
    st.builds(
        SpeechOptions,
        st.just("labels"),
        output=st.sampled_from(["mask", "weight"]),
        floor_db=st.sampled_from([-85.0, -50.0]),
        min_speech_seconds=st.just(0.0),
    ),
)
normalization = st.builds(
    NormalizationOptions,
    method=st.sampled_from(["none", "sliding_mean", "sliding_mean_variance"]),
    over=st.sampled_from(["speech", "all"]),
    window_frames=st.integers(1, 60),
    centered=st.booleans(),
    min_window_frames=st.integers(1, 80),
)


segments = st.lists(
    st.tuples(st.floats(0, 2), st.floats(0.01, 1)).map(lambda s: (s[0], sum(s), "a")), max_size=3
)


@st.composite
def front_ends(draw):
    shape, filtering, movement = draw(static), draw(rasta), draw(delta)
    if movement.window == 3 and draw(st.booleans()):
        movement = replace(movement, rule="sidekit")
    if shape.hop_seconds <= shape.window_seconds and draw(st.booleans()):
        shape = replace(shape, preemphasis_start="signal")
    if shape.kind == "centroids" and filtering.on == "filterbank":
        filtering = RastaOptions("static")
    rest = draw(speech), draw(normalization)
    return PipelineOptions(RATE, shape, filtering, movement, PitchOptions(), *rest)


@given(
    front_ends(),
    segments,
    st.integers(1, 16_000),
    st.lists(st.integers(0, 16_000), max_size=12),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=100)
def test_any_cutting_gives_the_frames_of_the_whole(options, segments, n_samples, cuts, seed):
    segments = segments if options.speech.method == "labels" else None
    samples = voice(n_samples, seed)
    cuts = [cut % (n_samples + 1) for cut in cuts]
    status = ""
    try:
        whole = Pipeline(options).extract(Signal(samples, RATE), segments)
    except AudioError as error:
        status = error.status
    if status:
        with pytest.raises(AudioError) as caught:
            in_pieces(options, samples, cuts, segments)
        assert caught.value.status == status
        return
    sets = in_pieces(options, samples, cuts, segments)
    frames, weights, positions = joined(sets)
    np.testing.assert_array_equal(positions, whole.positions)
    assert sets[-1].n_total == whole.n_total
    np.testing.assert_allclose(weights, whole.weights, rtol=0, atol=1e-5)
    # Float32 on numbers up to 100, and on hertz; divided by a deviation that may be small, in
    # windows of few frames.
    scaled = options.normalization.method == "sliding_mean_variance"
    if scaled and options.normalization.window_frames < 10:
        assert np.isfinite(frames).all()
        assert frames.shape == whole.frames.shape
    else:
        atol = 5e-3 if scaled else 5e-4 if options.static.kind != "centroids" else 2e-2
        np.testing.assert_allclose(frames, whole.frames, rtol=0, atol=atol)


@pytest.mark.parametrize("hop_seconds", [0.010, 0.01875])
@pytest.mark.parametrize("padding", ["reflection", "zeros"])
def test_every_length_and_its_end(padding, hop_seconds):
    """An odd window over all places of the end within a hop: what is reflected must be there."""
    shape = StaticOptions(
        window_seconds=0.025125, hop_seconds=hop_seconds, snip_edges=False, padding=padding
    )
    options = PipelineOptions(RATE, shape, deltas=DeltaOptions(order=0), speech=ALL)
    for n_samples in range(1000, 1000 + round(hop_seconds * RATE)):
        samples = voice(n_samples)
        whole = Pipeline(options).extract(Signal(samples, RATE))
        frames, _, _ = joined(in_pieces(options, samples, range(200, n_samples, 200)))
        np.testing.assert_allclose(frames, whole.frames, rtol=0, atol=5e-4)


@pytest.mark.parametrize("piece", [1, 37, 160, 16_000])
def test_pieces_of_all_sizes(piece):
    samples = voice(4000 if piece == 1 else 24_000)
    options = replace(load_front_end("kaldi-sid"), speech=KALDI)
    whole = Pipeline(options).extract(Signal(samples, 16_000))
    sets = in_pieces(options, samples, range(piece, len(samples), piece))
    frames, _, positions = joined(sets)
    np.testing.assert_array_equal(positions, whole.positions)
    np.testing.assert_allclose(frames, whole.frames, rtol=0, atol=5e-4)


def test_segments_go_with_labels():
    labels = PipelineOptions(speech=SpeechOptions("labels", min_speech_seconds=0.0))
    with pytest.raises(OptionError, match=r'speech.method "labels" takes .* \(--labels FILE\)'):
        Stream(labels)
    with pytest.raises(OptionError, match="segments are for speech.method .* it is 'none'"):
        Stream(segments=[(0.0, 1.0, "")])
    stream = Stream(labels, [(5.0, 6.0, "")])
    stream.push(voice(16_000))
    with pytest.raises(AudioError, match="no frame passes the detector; mend the labels"):
        stream.flush()


def test_speech_that_only_fills_the_filter_is_too_short():
    options = PipelineOptions(
        rasta=RastaOptions("static"), speech=SpeechOptions("labels", min_speech_seconds=0.0)
    )
    with pytest.raises(AudioError, match="the first 4 frames fill the RASTA filter") as caught:
        in_pieces(options, voice(16_000), [5000], [(0.0, 0.03, "")])
    assert caught.value.status == "too short"


def test_the_caller_may_use_its_memory_again():
    samples, room = voice(16_000), np.empty(800, dtype=np.float32)
    stream, frames = Stream(), []
    for piece in np.split(samples, 20):
        room[:] = piece
        frames.append(stream.push(room).frames)
        room[:] = 1.0
    frames.append(stream.flush().frames)
    whole = in_pieces(None, samples, [8000])
    np.testing.assert_allclose(np.concatenate(frames), joined(whole)[0], atol=5e-4)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("over", ["speech", "all"])
def test_warping_in_pieces(centered, over):
    rule = NormalizationOptions("warping", over, 61, centered, min_window_frames=30)
    options = PipelineOptions(speech=KALDI, normalization=rule)
    samples = voice(48_000)
    whole = Pipeline(options).extract(Signal(samples, 16_000))
    frames, _, positions = joined(in_pieces(options, samples, range(700, 48_000, 1234)))
    np.testing.assert_array_equal(positions, whole.positions)
    # Two values that are as good as equal may swap their ranks by rounding: 1 in 61, rarely.
    difference = np.abs(frames - whole.frames)
    assert (difference > 1e-5).mean() < 0.002
    assert difference.max() < 0.5


def test_a_frame_is_given_as_soon_as_it_can_be():
    """One second in pieces of 10 ms: deltas wait for six frames, a causal window for none."""
    rule = NormalizationOptions("sliding_mean", centered=False, min_window_frames=1)
    samples = voice(16_000)
    for options, behind in (
        (PipelineOptions(speech=ALL, deltas=DeltaOptions(order=0)), 0),
        (PipelineOptions(speech=ALL), 6),
        (PipelineOptions(speech=ALL, normalization=rule), 6),
        (PipelineOptions(speech=replace(KALDI, threshold=-90.0, context_frames=9)), 9),
        (PipelineOptions(speech=ALL, normalization=replace(rule, centered=True)), 300),
        (
            PipelineOptions(
                speech=ALL,
                normalization=NormalizationOptions("sliding_mean", window_frames=21),
            ),
            16,
        ),
    ):
        stream, given_so_far = Stream(options), 0
        for n, piece in enumerate(np.split(samples, 100), 1):
            given_so_far += len(stream.push(piece).frames)
            cut = max(0, 1 + (160 * n - 400) // 160)
            # The first frame of a centered window needs a whole one.
            assert given_so_far == max(0, cut - behind) or cut < 21 + 6
        assert given_so_far == max(0, 98 - behind)


def test_memory_does_not_grow():
    options = PipelineOptions(
        speech=KALDI, normalization=NormalizationOptions("sliding_mean_variance")
    )
    stream = Stream(options)
    piece = voice(16_000)

    def held(thing, depth=0):
        if isinstance(thing, np.ndarray):
            return thing.size if thing.base is None else thing.base.size
        values = vars(thing).values() if hasattr(thing, "__dict__") and depth < 3 else ()
        return sum(held(value, depth + 1) for value in values)

    sizes = []
    for _ in range(60):
        stream.push(piece)
        sizes.append(held(stream) - 4 * IMAGINARY)  # of which the transform touches a sixteenth
    # A window of 300 frames and a piece of 100, of 60 dimensions, a second of samples, and the
    # spectra of a piece.
    assert 0 < max(sizes) < 80_000 + 128 * 257
    assert max(sizes[30:]) <= max(sizes[:30]) * 1.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            PipelineOptions(),
            "speech.method must be 'none' or 'kaldi' or 'labels' in a stream, which cannot look at "
            "the levels of the whole recording; got 'energy'",
        ),
        (
            PipelineOptions(speech=SpeechOptions("kaldi")),
            "speech.mean_scale must be 0 in a stream, which cannot look at the levels of the "
            "whole recording; got 0.5",
        ),
        (
            PipelineOptions(speech=replace(KALDI, min_range_db=4.0)),
            "speech.min_range_db must be 0 .*got 4.0",
        ),
        (
            PipelineOptions(speech=replace(KALDI, min_speech_seconds=0.1)),
            "speech.min_speech_seconds must be 0",
        ),
        (
            PipelineOptions(speech=ALL, normalization=NormalizationOptions("mean")),
            "normalization.method must be 'none' or 'sliding_mean' or .*got 'mean'",
        ),
        (
            PipelineOptions(speech=ALL, normalization=NormalizationOptions("gaussianization")),
            "got 'gaussianization'",
        ),
        (
            PipelineOptions(speech=SpeechOptions("likelihood_ratio")),
            "where windows of the noise around a frame may never fill up; got 'likelihood_ratio'",
        ),
        (
            PipelineOptions(speech=ALL, pitch=PitchOptions("pyin")),
            "pitch.method must be 'none' in a stream, as the path .* is decided from the end",
        ),
        (
            PipelineOptions(speech=SpeechOptions("labels")),
            "speech.min_speech_seconds must be 0 in a stream, which cannot tell how much",
        ),
        (
            PipelineOptions(speech=ALL, static=StaticOptions(dynamic_range_db=80.0)),
            "static.dynamic_range_db must be 0",
        ),
    ],
)
def test_what_needs_the_whole_recording_is_refused_by_name(options, message):
    with pytest.raises(OptionError, match=message):
        Stream(options)


def test_a_stream_that_has_ended_and_one_that_never_began():
    stream = Stream()
    stream.push(voice(16_000))
    stream.flush()
    for call in (stream.flush, lambda: stream.push(voice(10))):
        with pytest.raises(DataError, match="the stream has ended; make another one"):
            call()
    with pytest.raises(AudioError, match=r"0.000 s is too short") as caught:
        Stream().flush()
    assert caught.value.status == "too short"
    silent = Stream(PipelineOptions(speech=KALDI))
    silent.push(np.zeros(16_000))
    with pytest.raises(AudioError, match="no speech found") as caught:
        silent.flush()
    assert caught.value.status == "no speech"


def test_samples_that_cannot_be():
    stream = Stream()
    stream.push(voice(100))
    bad = voice(50)
    bad[7] = np.nan
    with pytest.raises(DataError, match="samples must be finite: number 107"):
        stream.push(bad)
    with pytest.raises(DataError, match="must have one axis"):
        stream.push(np.zeros((2, 2)))
    with pytest.raises(DataError, match="fractions of full scale"):
        stream.push(np.full(1000, 1e7))
