"""Moving blobs in a video: components that follow them, beside k-means linked from frame to frame.

    python recipes/mixture/tracking.py [--out tracking.png] [--seed 0] [--videos 5] [--json]

Each video is drawn here, so the truth is known: blobs that cross, one that enters, one that leaves,
one that passes behind a wall, three that go anywhere, and noise in every pixel. A hidden blob stays
in the truth: to know where it is, is the task. The tracker's paths are judged as it goes (each
frame knows those before it) and smoothed (all frames known). k-means is told how many blobs are
visible in each frame; its centers are linked by the Hungarian method, and a link waits for a lost
blob as long as the tracker does.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from voicegmm.metrics import Sightings, clear_mot, idf1
from voicegmm.mixture import (
    MotionOptions,
    TrackOptions,
    TrackPath,
    Tracks,
    forecast_errors,
    track,
    track_paths,
    track_table,
)
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, GRAY, style

HEIGHT, WIDTH, N_FRAMES = 96, 144, 120  # pixels, pixels, frames
BLOB_STD = 3.0  # pixels
NOISE_STD = 0.2  # a blob's amplitude is 0.8 to 1.2
WALL = (98.0, 112.0)  # columns of a wall: what is behind it cannot be seen
NEAR = 6.0  # pixels: two of a blob's standard deviations; the threshold of a match
HORIZONS = (1, 5)  # frames
METHODS = ("tracker", "tracker, smoothed", "k-means")
# Tried out on the videos of seeds 100 to 107.
OPTIONS = TrackOptions(
    motion=MotionOptions(acceleration_std=0.1, speed_std=1.5),
    mass_memory=0.95,
    least_std=1.0,
    greatest_std=4.5,
    birth_std=BLOB_STD,
    clutter_volume=HEIGHT * WIDTH,
    death_frames=24,
)


@dataclass(frozen=True, eq=False)
class Video:
    """Pictures, and where each blob is: (row, column), NaN outside the picture.

    Parameters
    ----------
    pictures : (n_frames, height, width) float array
    places : (n_frames, n_blobs, 2) float array
        In pixels.
    visible : (n_frames, n_blobs) bool array
        False outside the picture and behind the wall.
    """

    pictures: np.ndarray
    places: np.ndarray
    visible: np.ndarray

    def truth(self) -> Sightings:
        """Give where every blob is, hidden ones too."""
        times, blobs = np.nonzero(~np.isnan(self.places[..., 0]))
        return Sightings(times, blobs, self.places[times, blobs])


def routes(rng: np.random.Generator) -> np.ndarray:
    """Draw where the blobs go, (n_frames, n_blobs, 2), in and outside the picture."""
    t = np.arange(N_FRAMES)[:, None]

    def line(row: float, column: float, down: float, right: float) -> np.ndarray:
        start = np.array([row, column]) + rng.uniform(-2, 2, 2)
        return start + t * (np.array([down, right]) + rng.uniform(-0.05, 0.05, 2))

    def anywhere() -> np.ndarray:
        middle = rng.uniform([15, 20], [HEIGHT - 15, WIDTH - 20])
        return middle + (t - rng.uniform(20, 100)) * rng.normal(0, 0.7, 2)

    sway = rng.uniform(0, 2 * np.pi)
    staged = [
        line(30, 8, 0.10, 0.72),  # three that cross
        line(42, 88, -0.10, -0.68),
        line(8, 40, 0.66, 0.08),
        line(-30, 70, 0.7, 0.05),  # enters from above
        line(76, 84, 0.05, -0.9),  # leaves to the left
        line(78, 40, 0.02, 0.75),  # passes behind the wall
        line(60, 126, 0, 0) + [14, 7] * np.sin(t / 11 + [sway, 2 * sway]),  # turns
    ]
    return np.stack([*staged, *(anywhere() for _ in range(3))], axis=1)


def make_video(seed: int, noise_std: float = NOISE_STD) -> Video:
    """Draw a video."""
    rng = np.random.default_rng(seed)
    places = routes(rng)
    inside = (places > 0).all(-1) & (places < [HEIGHT - 1, WIDTH - 1]).all(-1)
    hidden = (places[..., 1] > WALL[0]) & (places[..., 1] < WALL[1])
    amplitudes = rng.uniform(0.8, 1.2, places.shape[1])
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    in_front = (columns < WALL[0]) | (columns > WALL[1])
    pictures = noise_std * rng.standard_normal((N_FRAMES, HEIGHT, WIDTH))
    for time, blob in np.argwhere(inside):
        row, column = places[time, blob]
        down = np.exp(-((rows - row) ** 2) / (2 * BLOB_STD**2))
        right = np.exp(-((columns - column) ** 2) / (2 * BLOB_STD**2))
        pictures[time] += amplitudes[blob] * down * (right * in_front)
    return Video(pictures, np.where(inside[..., None], places, np.nan), inside & ~hidden)


def bright_points(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the pixels that stand out of the noise, and by how much they are above its middle."""
    middle = np.median(picture)
    noise = 1.4826 * np.median(np.abs(picture - middle))  # of a Gaussian, the standard deviation
    rows, columns = np.nonzero(picture > middle + 2.5 * noise)
    return np.stack([rows, columns], axis=1).astype(float), picture[rows, columns] - middle


def link(frames: Sequence[tuple[np.ndarray, np.ndarray]], n_visible: np.ndarray) -> Sightings:
    """Find blobs by k-means in each frame, and link them to the nearest of before."""
    last = np.zeros((0, 2))
    idle = np.zeros(0, int)
    rows: list[tuple[int, int, float, float]] = []
    for time, (points, weights) in enumerate(frames):
        kmeans = KMeans(int(n_visible[time]), n_init=3, random_state=time)
        centers = kmeans.fit(points, sample_weight=weights).cluster_centers_
        idle = idle + 1
        costs = cdist(last, centers)
        costs[idle > OPTIONS.death_frames] = np.inf
        allowed = costs < 2 * NEAR
        old, new = linear_sum_assignment(np.where(allowed, costs, 1e6))
        names = np.full(len(centers), -1)
        names[new[allowed[old, new]]] = old[allowed[old, new]]
        fresh = np.flatnonzero(names < 0)
        names[fresh] = len(last) + np.arange(len(fresh))
        last = np.concatenate([last, centers[fresh]])
        idle = np.concatenate([idle, np.zeros(len(fresh), int)])
        last[names], idle[names] = centers, 0
        rows += [(time, name, *center) for name, center in zip(names, centers, strict=True)]
    table = np.array(rows)
    return Sightings(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])


def counts(video: Video, found: Sightings) -> dict[str, float]:
    """Judge what was found against the truth."""
    truth = video.truth()
    clear = clear_mot(truth, found, NEAR)
    return {
        "mota": clear.mota,
        "motp_pixels": clear.motp,
        "idf1": idf1(truth, found, NEAR),
        "switches": clear.n_switches,
        "misses": clear.n_misses,
        "false_positives": clear.n_false_positives,
        "objects": clear.n_objects,
    }


def forecasts(video: Video, tracks: Tracks, found: Sequence[TrackPath]) -> dict[str, float]:
    """Measure forecasts in pixels: against the truth, and against what was found later.

    A forecast is judged where its blob is known when it is made (the nearest, within a match's
    threshold), seen then, and still in the picture at the time foretold.
    """
    figures = {}
    for horizon in HORIZONS:
        told, stayed = [], []
        for path in found:
            ahead = path.motion.positions + horizon * path.motion.velocities
            for row in np.flatnonzero(path.seen & (path.times + horizon < N_FRAMES)):
                time, here = path.times[row], path.motion.positions[row]
                apart = np.linalg.norm(video.places[time] - here, axis=1)
                if np.nanmin(apart) < NEAR:
                    then = video.places[time + horizon, np.nanargmin(apart)]
                    told.append(np.linalg.norm(then - ahead[row]))
                    stayed.append(np.linalg.norm(then - here))
        later = np.linalg.norm(forecast_errors(tracks, horizon), axis=1)
        figures[f"forecast_{horizon}_pixels"] = float(np.nanmean(told))
        figures[f"forecast_{horizon}_stayed_pixels"] = float(np.nanmean(stayed))
        figures[f"forecast_{horizon}_found_pixels"] = float(later.mean())
    return figures


def run(video: Video) -> tuple[Tracks, dict[str, Any]]:
    """Track one video in all three ways, and count."""
    frames = [bright_points(picture) for picture in video.pictures]
    tracks = track(frames, OPTIONS)
    found, smooth = track_paths(tracks), track_paths(tracks, smooth=True)
    ways = (
        Sightings(*track_table(found)),
        Sightings(*track_table(smooth)),
        link(frames, video.visible.sum(axis=1)),
    )
    figures: dict[str, Any] = {
        name: counts(video, way) for name, way in zip(METHODS, ways, strict=True)
    }
    return tracks, figures | {"forecasts": forecasts(video, tracks, found)}


def averaged(videos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give mean and standard deviation over videos of all figures."""
    return {
        group: {
            name: {
                "mean": float(np.mean([video[group][name] for video in videos])),
                "std": float(np.std([video[group][name] for video in videos])),
            }
            for name in videos[0][group]
        }
        for group in videos[0]
    }


def report(figures: dict[str, Any]) -> str:
    """Write the figures as tables."""
    overall = figures["overall"]
    columns = ("mota", "motp_pixels", "idf1", "switches", "misses", "false_positives")
    heads = ("MOTA", "MOTP, px", "IDF1", "switches", "misses", "false pos.")
    lines = [
        f"{figures['n_videos']} videos of {N_FRAMES} frames, "
        f"{overall['tracker']['objects']['mean']:.0f} sightings each; mean (standard deviation)",
        "",
        f"{'':18}" + "".join(f"{head:>16}" for head in heads),
    ]
    for method in METHODS:
        row = overall[method]
        cells = [
            f"{row[c]['mean']:.3f} ({row[c]['std']:.3f})"
            if c in columns[:3]
            else f"{row[c]['mean']:.1f} ({row[c]['std']:.1f})"
            for c in columns
        ]
        lines.append(f"{method:18}" + "".join(f"{cell:>16}" for cell in cells))
    lines += ["", f"{'mean error of forecasts, pixels':34}" + "".join(
        f"{f'{h} ahead':>16}" for h in HORIZONS
    )]  # fmt: skip
    for key, words in (
        ("", "tracker, against the truth"),
        ("_stayed", "as if nothing moved, the truth"),
        ("_found", "tracker, against what it found"),
    ):
        cells = [overall["forecasts"][f"forecast_{h}{key}_pixels"] for h in HORIZONS]
        lines.append(f"{words:34}" + "".join(f"{c['mean']:9.2f} ({c['std']:.2f})" for c in cells))
    return "\n".join(lines) + "\n"


def draw(video: Video, tracks: Tracks, seed: int) -> Any:
    """Draw four frames of a video with the paths so far, and all paths over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = track_paths(tracks)
    with style():
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(2, 6, height_ratios=(0.85, 1))
        times = (20, 52, 84)
        for place, time in enumerate(times):
            axes = figure.add_subplot(grid[0, 2 * place : 2 * place + 2])
            draw_frame(axes, video, tracks, found, time)
        for place, (side, name) in enumerate(((1, "column"), (0, "row"))):
            axes = figure.add_subplot(grid[1, 3 * place : 3 * place + 3])
            draw_over_time(axes, video, found, side, name)
        figure.suptitle(f"Components that follow blobs (video of seed {seed})", x=0.01, ha="left")
        figure.set_label(
            "Three frames of a video with the paths of the components up to then, and below them "
            "the column and the row of every path over time, over the truth."
        )
    return figure


def color_of(path: TrackPath) -> str:
    return COLORS[path.identity % len(COLORS)]


def draw_frame(
    axes: Any, video: Video, tracks: Tracks, found: Sequence[TrackPath], time: int
) -> None:
    from matplotlib.patches import Ellipse

    axes.imshow(video.pictures[time], cmap="gray_r", vmin=-0.2, vmax=1.4, interpolation="nearest")
    axes.axvspan(*WALL, color="#D9CBB8", alpha=0.6, linewidth=0)
    for path in found:
        past = path.times <= time
        if not past.any():
            continue
        rows, columns = path.motion.positions[past].T
        axes.plot(columns, rows, color=color_of(path), linewidth=1.3)
        if path.times[0] <= time <= path.times[-1]:
            row = time - path.times[0]
            known = path.seen[row]
            spread = path.spreads[row] + path.motion.position_covariances[row]
            values, vectors = np.linalg.eigh(spread)
            angle = np.degrees(np.arctan2(vectors[0, 1], vectors[1, 1]))
            axes.add_patch(
                Ellipse(
                    (columns[-1], rows[-1]), 4 * np.sqrt(values[1]), 4 * np.sqrt(values[0]),
                    angle=angle, fill=False, color=color_of(path),
                    linestyle="-" if known else ":", linewidth=1.5,
                )
            )  # fmt: skip
    axes.set(xlim=(0, WIDTH - 1), ylim=(HEIGHT - 1, 0), title=f"frame {time}", xticks=[], yticks=[])
    axes.grid(False)


def draw_over_time(
    axes: Any, video: Video, found: Sequence[TrackPath], side: int, name: str
) -> None:
    axes.plot(video.places[..., side], color="#BBBBBB", linewidth=4, solid_capstyle="round")
    for path in found:
        places = path.motion.positions[:, side]
        axes.plot(path.times, places, color=color_of(path), linewidth=1.1)
        axes.plot(
            path.times[~path.seen], places[~path.seen], ".", color=color_of(path), markersize=4
        )
    if side == 1:
        axes.axhspan(*WALL, color="#D9CBB8", alpha=0.6, linewidth=0)
        axes.text(1, np.mean(WALL), "wall", color=GRAY, va="center", fontsize=8)
    axes.set(xlabel="frame", ylabel=f"{name}, pixels", xlim=(0, N_FRAMES - 1))
    axes.set_title(f"{name} over time: truth gray, dots where unseen", fontsize=9.5)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw videos, track them, print, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", default="tracking.png", help="the picture: .png or .svg")
    parser.add_argument("--seed", type=int, default=0, help="of the first video")
    parser.add_argument("--videos", type=int, default=5, help="how many, of seeds in a row")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args(arguments)
    videos = []
    with threadpool_limits(1):  # small products: threads would only wait for each other
        for seed in range(given.seed, given.seed + given.videos):
            video = make_video(seed)
            tracks, figures = run(video)
            videos.append(figures)
            if seed == given.seed:
                save(draw(video, tracks, seed), given.out)
    figures = {"n_videos": given.videos, "overall": averaged(videos), "videos": videos}
    print(json.dumps(figures) if given.json else report(figures), end="\n" if given.json else "")


if __name__ == "__main__":
    main()
