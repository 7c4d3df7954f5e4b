"""Features of a voice from a background model: posteriorgrams, soft labels, supervectors.

    python recipes/mixture/voice_features.py [--out voice_features.png] [--json]

A background model learns from artificial voices without being told a phone or a speaker. Then it is
a front end. (a) Phones: a linear classifier names the phone of each frame, of speakers never heard,
from MFCC, from the log posteriorgram, from both; with the labels of a few of the speakers only, and
of all. (b) Speakers and sex: a linear SVM and the nearest neighbor (cosine) take one vector a
recording: the mean MFCC, the supervector plain and with the KL kernel's scaling, the Fisher vector.
Speakers are told apart from three recordings each; sex is learned from one half of the speakers and
asked of the other. Nobody of (b) was heard by the background model.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from voicegmm.features import StaticOptions, deltas, mfcc
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    SupervectorOptions,
    accumulate,
    collector,
    fisher_vector,
    fit,
    initialize,
    log_posteriors,
    posteriors,
    soft_labels,
    supervectors,
)
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, GRAY, style
from voicegmm.synthesis import PHONES, VOWELS, Utterance, Voice, draw_voice, speak, vary_voice

SEXES = ("female", "male")
FLOOR = -10.0  # nats: below, a component has nothing to say about a frame
FEATURES = ("MFCC", "posteriorgram", "both")
PAUSE = 0  # number of the phone that is none
KIND = {"_": "pause"} | dict.fromkeys(VOWELS, "vowels")
KIND |= dict.fromkeys("wjrlmn", "sonorants") | dict.fromkeys("fsʃvzh", "fricatives")
KIND |= dict.fromkeys("ptkbdg", "stops")


@dataclass(frozen=True, eq=False)
class Recording:
    """An utterance, its frames, and the phone (number) that sounds in the middle of each."""

    said: Utterance
    frames: np.ndarray
    phones: np.ndarray


def record(voice: Voice, seconds: float, rng: np.random.Generator) -> Recording:
    """Let a voice speak, on a day of its own, and analyze it."""
    said = speak(vary_voice(voice, rng), rng, seconds=seconds)
    frames = deltas(mfcc(said.samples, said.sample_rate), order=1)
    starts = [segment.start_seconds for segment in said.segments]
    number = np.searchsorted(starts, times(len(frames)), side="right") - 1
    names = list(PHONES)
    phones = np.array([names.index(segment.phone) for segment in said.segments])
    return Recording(said, frames, phones[np.maximum(number, 0)])


def times(n_frames: int) -> np.ndarray:
    """Give the middle of each frame, in seconds."""
    options = StaticOptions()
    return options.window_seconds / 2 + options.hop_seconds * np.arange(n_frames)


def voices(n: int, rng: np.random.Generator) -> list[Voice]:
    """Draw voices, women and men in turn."""
    return [draw_voice(rng, "female" if number % 2 == 0 else "male") for number in range(n)]


def background_model(frames: np.ndarray, n_components: int, seed: int) -> DiagonalGMM:
    """Fit the mixture; nothing is known but the frames."""
    start = initialize(frames, n_components, np.random.default_rng(seed))
    return fit(start, collector(ArraySource(frames)), EmOptions(n_iterations=10)).gmm


def frame_features(gmm: DiagonalGMM, frames: np.ndarray, name: str) -> np.ndarray:
    """Give what the classifier of phones sees, all columns of the order of 1."""
    mean, variance = gmm.spread()
    scaled = (frames - mean) / np.sqrt(variance)
    if name == "MFCC":
        return scaled
    # All columns alike: to standardize each would blow up the rare components.
    posteriorgram = 3 * (1 - log_posteriors(gmm, frames, FLOOR) / FLOOR)
    return posteriorgram if name == "posteriorgram" else np.hstack([scaled, posteriorgram])


def classify_phones(
    gmm: DiagonalGMM, train: Sequence[Recording], test: Sequence[Recording], few: int
) -> list[dict[str, Any]]:
    """Train on the labels of some speakers and of all, and count the frames named right."""
    asked = np.concatenate([recording.phones for recording in test])
    frames = np.concatenate([recording.frames for recording in test])
    rows = []
    for n_labeled in (few, len(train)):
        known = np.concatenate([recording.phones for recording in train[:n_labeled]])
        learned = np.concatenate([recording.frames for recording in train[:n_labeled]])
        for name in FEATURES:
            model = LogisticRegression(C=0.03, max_iter=200, tol=1e-2)
            model.fit(frame_features(gmm, learned, name), known)
            right = model.predict(frame_features(gmm, frames, name)) == asked
            rows.append(
                {
                    "features": name,
                    "labeled_speakers": n_labeled,
                    "accuracy": float(right.mean()),
                    "accuracy_of_speech": float(right[asked != PAUSE].mean()),
                }
            )
    return rows


def recording_vectors(gmm: DiagonalGMM, recordings: Sequence[Recording]) -> dict[str, np.ndarray]:
    """Give each recording as one vector, in several ways."""
    sources = [ArraySource(recording.frames) for recording in recordings]
    deviations = np.sqrt(gmm.spread()[1])
    made = {
        "mean MFCC": np.stack([recording.frames.mean(0) / deviations for recording in recordings])
    }
    for scaling in ("none", "kl"):
        options = SupervectorOptions(relevance=4, scaling=scaling, centered=True)
        made[f"supervector, {scaling}"] = supervectors(gmm, sources, options)
    made["Fisher vector"] = np.stack(
        [fisher_vector(gmm, accumulate(gmm, recording.frames)) for recording in recordings]
    )
    return made


def told(vectors: np.ndarray, labels: np.ndarray, train: np.ndarray) -> tuple[float, float]:
    """Give the accuracy of a linear SVM and of the nearest neighbor, on what they did not learn."""
    centered = vectors - vectors[train].mean(axis=0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    machine = SVC(kernel="linear", C=10).fit(unit[train], labels[train])
    nearest = labels[train][(unit[~train] @ unit[train].T).argmax(axis=1)]
    return (
        float((machine.predict(unit[~train]) == labels[~train]).mean()),
        float((nearest == labels[~train]).mean()),
    )


def classify_speakers(
    vectors: dict[str, np.ndarray], n_speakers: int, n_each: int
) -> list[dict[str, Any]]:
    """Tell speakers and sex from vectors that stand speaker by speaker."""
    speaker = np.repeat(np.arange(n_speakers), n_each)
    enrolls = np.tile(np.arange(n_each) < n_each // 2, n_speakers)
    rows = []
    for name, made in vectors.items():
        who, sex = told(made, speaker, enrolls), told(made, speaker % 2, speaker < n_speakers // 2)
        rows.append(
            {
                "vector": name,
                "size": made.shape[1],
                "speaker_svm": who[0],
                "speaker_nearest": who[1],
                "sex_svm": sex[0],
                "sex_nearest": sex[1],
            }
        )
    return rows


def report(figures: dict[str, Any]) -> str:
    """Write the figures as text."""
    few, every = sorted({row["labeled_speakers"] for row in figures["phones"]})
    lines = [
        f"background model: {figures['components']} components, "
        f"{figures['background_frames']} frames of {every} voices, no labels",
        f"soft labels: the 3 best components hold {100 * figures['kept_by_3']:.1f} % of the "
        f"posterior, the 5 best {100 * figures['kept_by_5']:.1f} %",
        "",
        f"(a) frames whose phone (one of {len(PHONES)}) is named right, speakers never heard",
        f"    labels of              {few:3d} speakers          {every:3d} speakers",
        "                           all    speech           all    speech",
    ]
    for name in FEATURES:
        cells = [
            f"{100 * row['accuracy']:5.1f} % {100 * row['accuracy_of_speech']:6.1f} %"
            for row in figures["phones"]
            if row["features"] == name
        ]
        lines.append(f"    {name:20} {cells[0]:>16}   {cells[1]:>16}")
    lines += [
        "",
        f"(b) recordings told right: {figures['speakers']} speakers, or the sex of new ones",
        "    vector                  size    speaker: SVM   nearest    sex: SVM   nearest",
    ]
    for row in figures["recordings"]:
        lines.append(
            f"    {row['vector']:20} {row['size']:7d} {100 * row['speaker_svm']:13.1f} % "
            f"{100 * row['speaker_nearest']:7.1f} % {100 * row['sex_svm']:9.1f} % "
            f"{100 * row['sex_nearest']:7.1f} %"
        )
    return "\n".join(lines)


def picture(
    gmm: DiagonalGMM,
    train: Sequence[Recording],
    shown: Recording,
    vectors: np.ndarray,
    figures: dict[str, Any],
    path: str,
) -> None:
    """Draw an utterance and its posteriorgram, the accuracies, and the supervectors."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(12, 11), layout="constrained")
        rows = figure.add_gridspec(3, 2, height_ratios=(1, 1.15, 1.35))
        top = figure.add_subplot(rows[0, :])
        spectrogram(top, shown)
        posteriorgram(figure.add_subplot(rows[1, :], sharex=top), gmm, train, shown)
        accuracies(figure.add_subplot(rows[2, 0]), figures)
        projection(figure.add_subplot(rows[2, 1]), vectors, figures)
        figure.set_label("An utterance, its posteriorgram, accuracies, projected supervectors")
    save(figure, path)


def spectrogram(ax: Any, shown: Recording) -> None:
    """Draw the spectrogram with the phones and their boundaries."""
    said = shown.said
    # The noise keeps digital silence from having no logarithm.
    noise = 1e-5 * np.random.default_rng(0).standard_normal(len(said.samples))
    ax.specgram(
        said.samples + noise, NFFT=320, noverlap=240, pad_to=512, Fs=said.sample_rate,
        cmap="gray_r", vmin=-120,
    )  # fmt: skip
    for segment in said.segments:
        ax.axvline(segment.start_seconds, color=COLORS[0], linewidth=0.8)
        middle = (segment.start_seconds + segment.end_seconds) / 2
        if segment.phone != "_":
            ax.text(middle, 8150, segment.phone, ha="center", va="bottom", fontsize=10)
    ax.set(ylim=(0, 8000), ylabel="hertz")
    ax.set_title("what was said, by a voice that nobody heard before", pad=20)
    ax.grid(visible=False)
    ax.tick_params(labelbottom=False)


def posteriorgram(ax: Any, gmm: DiagonalGMM, train: Sequence[Recording], shown: Recording) -> None:
    """Draw the posteriors of each frame, components in the order of the phones they stand for."""
    heard = np.concatenate([recording.phones for recording in train])
    frames = np.concatenate([recording.frames for recording in train])
    members = np.eye(len(PHONES))[heard]
    shares = (posteriors(gmm, frames).T @ members) / np.maximum(members.sum(axis=0), 1)
    order = np.argsort(shares.argmax(axis=1), kind="stable")
    at = times(len(shown.frames))
    image = np.sqrt(posteriors(gmm, shown.frames)[:, order].T)
    ax.pcolormesh(
        at, np.arange(gmm.n_components), image, cmap="viridis", shading="nearest", rasterized=True
    )
    for segment in shown.said.segments:
        ax.axvline(segment.start_seconds, color="white", linewidth=0.8)
    ax.set(xlim=(0, at[-1]), xlabel="seconds")
    kinds = np.array([KIND[phone] for phone in PHONES])[shares.argmax(axis=1)[order]]
    for kind in dict.fromkeys(kinds):
        rows = np.flatnonzero(kinds == kind)
        ax.axhline(rows[-1] + 0.5, color="white", linewidth=0.5, linestyle=":")
        ax.text(
            -0.008, rows.mean(), kind, ha="right", va="center", transform=ax.get_yaxis_transform()
        )
    ax.set_yticks([])
    ax.set_ylabel("components", labelpad=62)
    ax.set_title("its posteriorgram (square root); components by the phones they like best")
    ax.grid(visible=False)


def accuracies(ax: Any, figures: dict[str, Any]) -> None:
    """Draw the accuracy of phones by features and labels."""
    amounts = sorted({row["labeled_speakers"] for row in figures["phones"]})
    for number, name in enumerate(FEATURES):
        values = [100 * row["accuracy"] for row in figures["phones"] if row["features"] == name]
        places = np.arange(len(amounts)) + 0.27 * (number - 1)
        bars = ax.bar(places, values, width=0.25, color=COLORS[number], label=name)
        ax.bar_label(bars, fmt="%.0f", padding=2, fontsize=9)
    ax.set_xticks(range(len(amounts)), [f"labels of {amount} speakers" for amount in amounts])
    ax.set(ylim=(0, 100), ylabel="frames named right, %")
    ax.set_title(f"which of {len(PHONES)} phones")
    ax.grid(visible=False, axis="x")
    ax.legend(loc="upper left", ncols=3)


def projection(ax: Any, vectors: np.ndarray, figures: dict[str, Any]) -> None:
    """Draw the recordings' supervectors in the plane where they spread most."""
    centered = vectors - vectors.mean(axis=0)
    points = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    by_speaker = points.reshape(figures["speakers"], -1, 2)
    for number, mine in enumerate(by_speaker):
        sex = number % 2
        middle = mine.mean(axis=0)
        for point in mine:
            ax.plot(*np.stack([middle, point]).T, "-", color=GRAY, linewidth=0.6, zorder=1)
        ax.plot(
            *mine.T, "os"[sex], color=COLORS[sex], markersize=5,
            label=SEXES[sex] if number < 2 else None,
        )  # fmt: skip
    svm = next(row for row in figures["recordings"] if row["vector"] == "supervector, kl")
    ax.set(xlabel="first principal component", ylabel="second principal component")
    ax.set_title(f"supervectors, a star a speaker; SVM tells {100 * svm['speaker_svm']:.0f} %")
    ax.legend(loc="best")


def main(arguments: Sequence[str] | None = None) -> None:
    """Let them speak, train, classify, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--background", type=int, default=16, help="voices of the background")
    parser.add_argument("--few", type=int, default=4, help="how many of them have labels at first")
    parser.add_argument("--speakers", type=int, default=24, help="voices to be told apart")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="voice_features.png", help="the picture (.png or .svg)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(options.seed)
    train = [record(voice, 10.0, rng) for voice in voices(options.background, rng)]
    test = [record(voice, 6.0, rng) for voice in voices(8, rng)]
    people = voices(options.speakers, rng)
    n_each = 6
    recordings = [record(voice, 2.5, rng) for voice in people for _ in range(n_each)]
    shown = record(draw_voice(rng, "female"), 2.2, rng)

    frames = np.concatenate([recording.frames for recording in train])
    with threadpool_limits(1):  # the products are small: more threads only wait for one another
        gmm = background_model(frames, options.components, options.seed)
        vectors = recording_vectors(gmm, recordings)
        figures = {
            "components": options.components,
            "background_frames": len(frames),
            "kept_by_3": float(soft_labels(gmm, frames, 3).kept.mean()),
            "kept_by_5": float(soft_labels(gmm, frames, 5).kept.mean()),
            "phones": classify_phones(gmm, train, test, options.few),
            "speakers": options.speakers,
            "recordings": classify_speakers(vectors, options.speakers, n_each),
        }
        picture(gmm, train, shown, vectors["supervector, kl"], figures, options.out)
    print(json.dumps(figures) if options.json else report(figures))


if __name__ == "__main__":
    main()
