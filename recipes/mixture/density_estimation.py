"""Densities with many modes: mixtures of a size chosen by the data, beside kernel estimates.

    python recipes/mixture/density_estimation.py [--out density_estimation.png] [--json]

Two densities are known in closed form and are no mixtures of Gaussians: in one dimension a sharp
peak on the slope of a skewed bump, and a pointed one; in two a banana, a pointed ridge and a small
spot. From samples of several sizes a mixture is fitted (its size and the shape of its covariances
by BIC) and two kernel estimates are made (scipy's `gaussian_kde`, with Scott's bandwidth and with
the bandwidth that held-out frames like best). Each is compared with the truth: KL divergence, in
nats, from fresh draws; integrated squared error, on a grid.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logsumexp
from scipy.stats import gamma, gaussian_kde, laplace, multivariate_normal, norm, uniform
from threadpoolctl import threadpool_limits

from voicegmm.mixture import (
    EmOptions,
    InitialOptions,
    Selection,
    SelectionOptions,
    log_density,
    select,
)
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, GRAY, LINES, style

METHODS = ("mixture", "kernels, Scott", "kernels, held-out")
LogDensity = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Known:
    """A density that can be drawn from and written down.

    `parts` gives each part's share, its draw (rng, n) -> (n, n_dims), and its log-density.
    """

    name: str
    parts: tuple[tuple[float, Callable[..., np.ndarray], LogDensity], ...]
    grid: np.ndarray  # (n_cells, n_dims)
    cell: float  # the volume of one

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw points, (n, n_dims)."""
        counts = rng.multinomial(n, [share for share, _, _ in self.parts])
        drawn = [part[1](rng, count) for part, count in zip(self.parts, counts, strict=True)]
        return rng.permutation(np.concatenate(drawn))

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Give the log-density of points, (n,)."""
        joint = [np.log(share) + log_law(points) for share, _, log_law in self.parts]
        return logsumexp(joint, axis=0)


def one_dimension() -> Known:
    """A skewed bump with a sharp peak on its slope, and a pointed bump beside it."""
    laws = ((0.55, gamma(4, scale=0.6)), (0.15, norm(3.4, 0.12)), (0.30, laplace(7.5, 0.5)))
    parts = tuple(
        (
            share,
            lambda rng, n, law=law: law.rvs((n, 1), random_state=rng),
            lambda x, law=law: law.logpdf(x[:, 0]),
        )
        for share, law in laws
    )
    grid = np.linspace(-1, 13, 1401)[:, None]
    return Known("one dimension", parts, grid, 0.01)


def two_dimensions() -> Known:
    """A banana, a pointed ridge across its arm, and a small spot inside."""
    spot = multivariate_normal([0.0, 2.6], [[0.05, 0.0], [0.0, 0.05]])
    along, across = laplace(0, 0.8), norm(0, 0.22)
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    middle = np.array([2.6, -1.2])

    def banana(rng: np.random.Generator, n: int) -> np.ndarray:
        x = rng.uniform(-2.4, 2.4, n)
        return np.stack([x, 0.8 * x**2 - 0.5 + 0.35 * rng.standard_normal(n)], axis=1)

    def log_banana(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        return uniform.logpdf(x, -2.4, 4.8) + norm.logpdf(y, 0.8 * x**2 - 0.5, 0.35)

    def ridge(rng: np.random.Generator, n: int) -> np.ndarray:
        turned = np.stack([law.rvs(n, random_state=rng) for law in (along, across)], axis=1)
        return turned @ turn + middle

    def log_ridge(points: np.ndarray) -> np.ndarray:
        turned = (points - middle) @ turn.T
        return along.logpdf(turned[:, 0]) + across.logpdf(turned[:, 1])

    def spots(rng: np.random.Generator, n: int) -> np.ndarray:
        return spot.rvs(n, random_state=rng).reshape(n, 2)

    parts = ((0.6, banana, log_banana), (0.25, ridge, log_ridge), (0.15, spots, spot.logpdf))
    axes = np.linspace(-4, 6, 101), np.linspace(-5, 7, 101)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    return Known("two dimensions", parts, grid, 0.1 * 0.12)


def fitted(
    points: np.ndarray, rng: np.random.Generator, options: SelectionOptions
) -> dict[str, LogDensity]:
    """Estimate the density in all ways."""
    gmm = select(points, rng, options).best("bic").gmm
    scott = gaussian_kde(points.T)
    made: dict[str, LogDensity] = {
        "mixture": lambda x: log_density(gmm, x),
        "kernels, Scott": lambda x: scott.logpdf(x.T),
    }
    chosen = gaussian_kde(points.T, bandwidth(points))
    made["kernels, held-out"] = lambda x: chosen.logpdf(x.T)
    return made


def bandwidth(points: np.ndarray, n_folds: int = 5) -> float:
    """Choose the bandwidth that frames held out like best, fold by fold."""
    factors = gaussian_kde(points.T).factor * np.geomspace(0.15, 1.2, 6)
    fold = np.arange(len(points)) % n_folds  # the points are in random order
    scores = np.zeros(len(factors))
    for number in range(n_folds):
        kept, left = points[fold != number].T, points[fold == number].T
        scores += [gaussian_kde(kept, factor).logpdf(left).sum() for factor in factors]
    return float(factors[scores.argmax()])


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is shown of a density: the largest sample and what was made of it."""

    known: Known
    points: np.ndarray
    estimates: dict[str, LogDensity]


def compare(
    known: Known, options: argparse.Namespace, choice: SelectionOptions
) -> tuple[list[dict[str, Any]], Drawn]:
    """Measure each estimate at each sample size, in the mean over repeats."""
    truth = np.exp(known.log_density(known.grid))
    rows = []
    for size in sorted(options.sizes):
        # Large samples say the same each time; small ones are cheap.
        n_repeats = max(1, options.repeats * 4 * min(options.sizes) // size)
        n_repeats = min(n_repeats, options.repeats)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
        for repeat in range(n_repeats):
            rng = np.random.default_rng([options.seed, size, repeat])
            points, fresh = known.draw(size, rng), known.draw(options.test, rng)
            of_fresh = known.log_density(fresh)
            made = fitted(points, rng, choice)
            for name, estimate in made.items():
                divergence = float(np.mean(of_fresh - estimate(fresh)))
                error = float(np.sum((np.exp(estimate(known.grid)) - truth) ** 2) * known.cell)
                found[name].append((divergence, error))
        for name, values in found.items():
            divergence, error = np.mean(values, axis=0)
            rows.append(
                {
                    "density": known.name,
                    "sample": size,
                    "method": name,
                    "kl": float(divergence),
                    "ise": float(error),
                    "repeats": n_repeats,
                }
            )
    return rows, Drawn(known, points, made)


def table(selection: Selection) -> list[dict[str, Any]]:
    """Give the lines of the table of candidates."""
    names = ("n_components", "covariance_type", "n_parameters", "bic", "aic", "icl", "held_out")
    return [{name: getattr(row, name) for name in names} for row in selection.rows]


def report(figures: dict[str, Any]) -> str:
    """Write the figures as text."""
    lines = [
        f"candidates for {figures['points']} points in two dimensions "
        "(BIC, AIC, ICL in nats a point, less is better; held out: log-density, more is better)",
        "  K  covariance  parameters     BIC     AIC     ICL  held out",
    ]
    best = figures["best"]
    marks = {name: (row["n_components"], row["covariance_type"]) for name, row in best.items()}
    for row in figures["candidates"]:
        shape = (row["n_components"], row["covariance_type"])
        cells = [f"{shape[0]:3d}  {shape[1]:10s} {row['n_parameters']:11d} "]
        for name in ("bic", "aic", "icl"):
            cells.append(
                f"{row[name] / figures['points']:7.3f}{'*' if marks[name] == shape else ' '}"
            )
        cells.append(f" {row['held_out']:8.3f}{'*' if marks['held_out'] == shape else ' '}")
        lines.append("".join(cells))
    lines += ["", "error of the estimates     sample   KL, nats  integrated squared error"]
    for row in figures["errors"]:
        lines.append(
            f"  {row['density']:15} {row['sample']:8d}  {row['kl']:9.4f} {row['ise']:12.5f}  "
            f"{row['method']}"
        )
    return "\n".join(lines)


def picture(line: Drawn, plane: Drawn, figures: dict[str, Any], path: str) -> None:
    """Draw the densities, the criteria and the errors."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(12.5, 8), layout="constrained")
        axes = figure.subplots(2, 3)
        curves(axes[0, 0], line)
        criteria(axes[0, 1], figures)
        errors(axes[0, 2], figures)
        levels(axes[1, 0], plane, plane.known.log_density)
        axes[1, 0].plot(*plane.points.T, ".", color="white", markersize=1, alpha=0.35)
        axes[1, 0].set_title(f"two dimensions: the truth, {len(plane.points)} points")
        for ax, name in zip(axes[1, 1:], ("mixture", "kernels, held-out"), strict=True):
            levels(ax, plane, plane.estimates[name])
            ax.set_title(name)
        figure.set_label("Densities, their estimates, criteria by size, errors by sample size")
    save(figure, path)


def curves(ax: Any, line: Drawn) -> None:
    """Draw the density in one dimension and its estimates."""
    known, points = line.known, line.points
    x = known.grid[:, 0]
    ax.fill_between(x, np.exp(known.log_density(known.grid)), color="#D5D5D5", label="truth")
    for number, name in enumerate(METHODS):
        values = np.exp(line.estimates[name](known.grid))
        ax.plot(x, values, LINES[number], color=COLORS[number], label=name, linewidth=1.4)
    ax.plot(points[:, 0], np.full(len(points), -0.012), "|", color=GRAY, ms=5, alpha=0.25)
    ax.set(xlim=(-0.5, 11), xlabel="x", ylabel="density")
    ax.set_title(f"one dimension, {len(points)} points")
    ax.legend(loc="upper right")


def criteria(ax: Any, figures: dict[str, Any]) -> None:
    """Draw BIC, and the held-out log-density, by the number of components."""
    rows = figures["candidates"]
    shapes = list(dict.fromkeys(row["covariance_type"] for row in rows))
    for number, shape in enumerate(shapes):
        mine = [row for row in rows if row["covariance_type"] == shape]
        sizes = [row["n_components"] for row in mine]
        color = COLORS[number]
        bic = [row["bic"] / figures["points"] for row in mine]
        held_out = [-2 * row["held_out"] for row in mine]
        ax.plot(sizes, bic, "o-", color=color, label=shape, markersize=4)
        ax.plot(sizes, held_out, ":", color=color, linewidth=1.3)
    best = figures["best"]["bic"]
    at = (best["n_components"], best["bic"] / figures["points"])
    ax.plot(*at, "o", markersize=13, markerfacecolor="none", color="black")
    ax.annotate("BIC's choice", at, (0, 12), textcoords="offset points", ha="center", fontsize=9)
    ax.set(xlabel="components", ylabel="BIC a point; dotted: -2 log-density held out")
    ax.margins(y=0.1)
    ax.set_title("two dimensions: which mixture")
    ax.legend(loc="upper right")


def errors(ax: Any, figures: dict[str, Any]) -> None:
    """Draw the divergence by the size of the sample."""
    for number, name in enumerate(METHODS):
        for density, marker, line in (("one dimension", "o", "-"), ("two dimensions", "s", "--")):
            mine = [
                (row["sample"], row["kl"])
                for row in figures["errors"]
                if (row["density"], row["method"]) == (density, name)
            ]
            label = f"{name}, {'1-D' if marker == 'o' else '2-D'}"
            ax.plot(*zip(*mine, strict=True), marker + line, color=COLORS[number], label=label)
    ax.set(xscale="log", yscale="log", xlabel="points", ylabel="KL divergence from the truth, nats")
    sizes = sorted({row["sample"] for row in figures["errors"]})
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set_yticks([0.01, 0.03, 0.1, 0.3, 1], ["0.01", "0.03", "0.1", "0.3", "1"])
    ax.set_ylim(0.003, 1.5)
    ax.minorticks_off()
    ax.set_title("error by sample size")
    ax.legend(loc="lower left", fontsize=7.5)


def levels(ax: Any, plane: Drawn, estimate: LogDensity) -> None:
    """Draw a density in two dimensions, in steps of the truth's."""
    known, side = plane.known, int(np.sqrt(len(plane.known.grid)))
    x, y = known.grid[:, 0].reshape(side, side), known.grid[:, 1].reshape(side, side)
    truth = known.log_density(known.grid)
    steps = truth.max() - np.array([6.5, 5.5, 4.5, 3.5, 2.5, 1.5, 0.75, 0])
    values = estimate(known.grid).reshape(side, side)
    ax.contourf(x, y, values, levels=steps, cmap="viridis", extend="max")
    ax.set(xlim=(-4, 6), ylim=(-5, 7), xlabel="x", ylabel="y")
    ax.set_facecolor("#2B0B3A")
    ax.grid(visible=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Estimate, compare, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 400, 1600])
    parser.add_argument("--repeats", type=int, default=3, help="samples of the smallest size")
    parser.add_argument("--test", type=int, default=3000, help="fresh draws for the divergence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="density_estimation.png", help="the picture (.png, .svg)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    choice = SelectionOptions(
        n_components=(2, 4, 6, 8, 10),
        held_out=0.2,
        initial=InitialOptions(method="lbg", variance_floor=1e-4),
        em=EmOptions(n_iterations=100, tolerance=1e-4, variance_floor=1e-4),
    )
    full = replace(choice, covariance_types=("full",), held_out=0)
    with threadpool_limits(1):  # small products: more threads only wait for one another
        of_line, line = compare(one_dimension(), options, full)
        of_plane, plane = compare(two_dimensions(), options, full)
        selection = select(plane.points, np.random.default_rng(options.seed), choice)
    criteria_names = ("bic", "aic", "icl", "held_out")
    rows = table(selection)
    chosen = {name: selection.rows.index(selection.best(name)) for name in criteria_names}
    figures = {
        "points": len(plane.points),
        "candidates": rows,
        "best": {name: rows[row] for name, row in chosen.items()},
        "errors": of_line + of_plane,
    }
    picture(line, plane, figures, options.out)
    print(json.dumps(figures) if options.json else report(figures))


if __name__ == "__main__":
    main()
