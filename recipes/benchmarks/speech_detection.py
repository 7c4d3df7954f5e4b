"""How often each speech detector misses speech and takes noise for it, on artificial recordings.

python recipes/benchmarks/speech_detection.py

An artificial voice says two phrases with a second of silence before, between and after them; its
phones are the truth, frame by frame, closures of stops included. Noise is added over all of it at
a distance below the speech alone. The defaults of `voicegmm.features.SpeechOptions` were chosen
on seeds below 100 (the flatness of "modulation" on the pauses of real recordings); the table is of
seeds from 1000 on.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from voicegmm._base.errors import AudioError
from voicegmm._base.options import from_mapping
from voicegmm.audio import Signal
from voicegmm.features import Pipeline, PipelineOptions
from voicegmm.synthesis import draw_voice, make_noise, speak

METHODS = (
    "energy",
    "kaldi",
    "two_gaussian",
    "three_gaussian",
    "modulation",
    "likelihood_ratio",
)
KINDS = ("white", "pink", "hum", "babble")
RATE = 16000
PAUSE_SECONDS = 1.0
PHRASE_SECONDS = 3.0


def recording(seed: int, kind: str, snr_db: float) -> tuple[Signal, np.ndarray]:
    """Make a recording, and tell for each sample whether there is speech in it."""
    rng = np.random.default_rng(seed)
    voice = draw_voice(rng)
    pause = np.zeros(round(PAUSE_SECONDS * RATE))
    samples, truth = [pause], [pause > 0]
    for _ in range(2):
        said = speak(voice, rng, seconds=PHRASE_SECONDS, sample_rate=RATE)
        speech = np.zeros(len(said.samples), dtype=bool)
        for segment in said.segments:
            begin, end = (round(t * RATE) for t in (segment.start_seconds, segment.end_seconds))
            speech[begin:end] = segment.phone != "_"
        samples += [said.samples, pause]
        truth += [speech, pause > 0]
    x, speech = np.concatenate(samples), np.concatenate(truth)
    level = np.sqrt(np.mean(np.square(x[speech])) * 10 ** (-snr_db / 10))
    return Signal(x + level * make_noise(len(x), kind, rng, RATE), RATE), speech


def errors(pipeline: Pipeline, signal: Signal, speech: np.ndarray) -> tuple[float, float, float]:
    """Give the miss rate, the false-alarm rate and the mean distance of the weights from truth."""
    static = pipeline.options.static
    n_hop, n_window = round(static.hop_seconds * RATE), round(static.window_seconds * RATE)
    centers = np.arange(n_window // 2, len(speech) - n_window // 2 + 1, n_hop)
    truth = speech[np.minimum(centers, len(speech) - 1)]
    weights = np.zeros(len(truth))
    try:
        found = pipeline.extract(signal)
        weights[found.positions] = found.weights
    except AudioError:
        pass  # all of it was taken for noise
    kept = weights >= 0.5
    return (
        float((~kept[truth]).mean()),
        float(kept[~truth].mean()),
        float(abs(weights - truth).mean()),
    )


def table(seeds: Sequence[int], snrs: Sequence[float], settings: dict | None = None) -> list[str]:
    """Measure every method; one line a condition."""
    made = {
        method: Pipeline(
            from_mapping(
                PipelineOptions,
                {"speech": {"method": method, "output": "weight", **(settings or {})}},
            )
        )
        for method in METHODS
    }
    lines = [
        "| noise | SNR, dB | " + " | ".join(METHODS) + " |",
        "|---" * (2 + len(METHODS)) + "|",
    ]
    for kind in KINDS:
        for snr in snrs:
            recordings = [recording(seed, kind, snr) for seed in seeds]
            cells = []
            for pipeline in made.values():
                miss, alarm, soft = np.mean([errors(pipeline, *one) for one in recordings], axis=0)
                cells.append(f"{100 * miss:.1f} / {100 * alarm:.1f} / {100 * soft:.1f}")
            lines.append(f"| {kind} | {snr:g} | " + " | ".join(cells) + " |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recordings", type=int, default=10, metavar="N", help="a condition")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--snr", type=float, nargs="+", default=[20.0, 10.0, 5.0, 0.0])
    options = parser.parse_args(arguments)
    seeds = range(options.first_seed, options.first_seed + options.recordings)
    print("miss / false alarm / mean error of the weight, in percent of frames")
    print("\n".join(table(seeds, options.snr)))


if __name__ == "__main__":
    main()
