"""Customer segments: a mixture of Gaussians beside k-means, and what the soft labels are worth.

    python recipes/mixture/soft_clustering.py [--out soft_clustering.png] [--json]

Customers of a shop are described by how often they come and what they spend a visit. Four kinds are
drawn, unequal in number, elongated, overlapping, and with heavier tails than a Gaussian has; who is
what is known and shown to neither method. The mixture's size and covariance are chosen by ICL;
k-means gets the same number of clusters, standardized data and ten starts.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from scipy.stats import multivariate_t
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from voicegmm.mixture import FullGMM, InitialOptions, Mixture, SelectionOptions, posteriors, select
from voicegmm.plots import save
from voicegmm.plots.canvas import COLORS, GRAY, style

TAIL = 10  # degrees of freedom of the segments: Gaussian would be the mixture's home ground


@dataclass(frozen=True)
class Segment:
    """A kind of customer: decimal logarithms of visits a month and of spending a visit."""

    name: str
    share: float
    center: tuple[float, float]
    deviations: tuple[float, float]
    correlation: float

    def covariance(self) -> np.ndarray:
        """Give the covariance that deviations and correlation make."""
        off = self.correlation * self.deviations[0] * self.deviations[1]
        return np.array([[self.deviations[0] ** 2, off], [off, self.deviations[1] ** 2]])


SEGMENTS = (
    # A household's budget is what it is: who comes more often spends less a visit.
    Segment("families", 0.47, (0.62, 1.50), (0.34, 0.26), -0.90),
    Segment("lunch breaks", 0.27, (0.85, 0.85), (0.26, 0.10), 0.20),
    Segment("passers-by", 0.18, (0.05, 1.15), (0.13, 0.34), 0.10),
    Segment("caterers", 0.08, (0.90, 1.95), (0.24, 0.17), 0.80),
)


def draw(n_customers: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw customers (n, 2) and their true segments (n,)."""
    truth = rng.choice(len(SEGMENTS), n_customers, p=[segment.share for segment in SEGMENTS])
    points = np.empty((n_customers, 2))
    for number, segment in enumerate(SEGMENTS):
        members = truth == number
        points[members] = law(segment).rvs(members.sum(), random_state=rng)
    return points, truth


def law(segment: Segment) -> Any:
    """Give a segment's distribution: Student's, with the covariance that the segment states."""
    return multivariate_t(segment.center, segment.covariance() * (TAIL - 2) / TAIL, df=TAIL)


def with_names(labels: np.ndarray, truth: np.ndarray, n_labels: int) -> np.ndarray:
    """Give each label the segment it stands for: the matching of most agreements, one to one.

    What is left over, where there are more labels than segments, gets the segment it holds most of.
    """
    table = np.zeros((n_labels, len(SEGMENTS)), int)
    np.add.at(table, (labels, truth), 1)
    names = table.argmax(axis=1)
    rows, columns = linear_sum_assignment(-table)
    names[rows] = columns
    return names


def calibration(certainty: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """Compare what the greatest posterior promises with how often it is right."""
    edges = (0, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1 + 1e-12)
    rows = []
    for low, high in pairwise(edges):
        inside = (certainty >= low) & (certainty < high)
        if inside.any():
            rows.append(
                {
                    "from": low,
                    "to": min(high, 1),
                    "customers": int(inside.sum()),
                    "promised": float(certainty[inside].mean()),
                    "right": float(right[inside].mean()),
                }
            )
    return rows


@dataclass(frozen=True, eq=False)
class Clustering:
    """What both methods make of the customers, in the segments' own numbers."""

    points: np.ndarray
    truth: np.ndarray
    gmm: Mixture
    names: np.ndarray  # the segment of each component
    soft: np.ndarray  # (n_customers, n_segments)
    kmeans: np.ndarray  # (n_customers,)

    @property
    def mixture(self) -> np.ndarray:
        """The most probable segment, (n_customers,)."""
        return self.soft.argmax(axis=1)


def cluster(n_customers: int, seed: int) -> tuple[Clustering, dict[str, Any]]:
    """Draw customers, cluster them both ways, and count."""
    rng = np.random.default_rng(seed)
    points, truth = draw(n_customers, rng)
    options = SelectionOptions(
        n_components=(2, 3, 4, 5, 6),
        held_out=0,
        initial=InitialOptions(method="lbg", variance_floor=1e-3),
    )
    best = select(points, rng, options).best("icl")
    components = posteriors(best.gmm, points)
    names = with_names(components.argmax(axis=1), truth, best.gmm.n_components)
    soft = components @ np.eye(len(SEGMENTS))[names]
    scaled = (points - points.mean(axis=0)) / points.std(axis=0)
    labels = KMeans(best.gmm.n_components, n_init=10, random_state=seed).fit_predict(scaled)
    kmeans = with_names(labels, truth, best.gmm.n_components)[labels]
    made = Clustering(points, truth, best.gmm, names, soft, kmeans)
    figures = counts(made)
    figures["chosen"] = f"{best.n_components} {best.covariance_type}"
    figures["ari_kmeans"] = float(adjusted_rand_score(truth, labels))
    figures["ari_mixture"] = float(adjusted_rand_score(truth, components.argmax(axis=1)))
    return made, figures


def counts(made: Clustering) -> dict[str, Any]:
    """Say where the two differ, who is right there, and what the posteriors promised."""
    hard, truth = made.mixture, made.truth
    # Nobody can do better than who knows the segments' true distributions.
    joint = [np.log(s.share) + law(s).logpdf(made.points) for s in SEGMENTS]
    ideal = softmax(np.stack(joint, axis=1), axis=1)
    right, differ = hard == truth, hard != made.kmeans
    certainty = made.soft.max(axis=1)
    entropy = -(made.soft * np.log2(np.maximum(made.soft, 1e-300))).sum(axis=1)
    table = calibration(certainty, right)
    gaps = [row["customers"] * abs(row["promised"] - row["right"]) for row in table]
    doubtful = certainty < 0.9
    return {
        "customers": len(truth),
        "ari_ideal": float(adjusted_rand_score(truth, ideal.argmax(axis=1))),
        "differ": float(differ.mean()),
        "right_mixture_where_they_differ": float(right[differ].mean()),
        "right_kmeans_where_they_differ": float((made.kmeans == truth)[differ].mean()),
        "entropy_where_they_differ": float(entropy[differ].mean()),
        "entropy_where_they_agree": float(entropy[~differ].mean()),
        "entropy_of_the_wrong": float(entropy[~right].mean()),
        "entropy_of_the_right": float(entropy[right].mean()),
        "doubtful": float(doubtful.mean()),
        "errors_among_the_doubtful": float((~right)[doubtful].sum() / max((~right).sum(), 1)),
        "errors_promised": float((1 - certainty).mean()),
        "errors": float((~right).mean()),
        "calibration_error": float(sum(gaps) / len(truth)),
        "calibration": table,
        "found": [
            {
                "segment": segment.name,
                "true": float((truth == number).mean()),
                "kmeans": float((made.kmeans == number).mean()),
                "mixture": float(made.soft[:, number].mean()),
            }
            for number, segment in enumerate(SEGMENTS)
        ],
    }


def report(figures: dict[str, Any]) -> str:
    """Write the figures as text."""
    percent = {key: 100 * value for key, value in figures.items() if isinstance(value, float)}
    lines = [
        f"{figures['customers']} customers; ICL chose {figures['chosen']}",
        "",
        "adjusted Rand index to the truth",
        f"  k-means            {figures['ari_kmeans']:.3f}",
        f"  mixture            {figures['ari_mixture']:.3f}",
        f"  the true densities {figures['ari_ideal']:.3f}",
        "",
        "share of customers    true  k-means  mixture",
        *(
            f"  {row['segment']:18} {row['true']:6.3f} {row['kmeans']:8.3f} {row['mixture']:8.3f}"
            for row in figures["found"]
        ),
        "",
        f"they differ on {percent['differ']:.1f} % of the customers; right there: "
        f"mixture {percent['right_mixture_where_they_differ']:.0f} %, "
        f"k-means {percent['right_kmeans_where_they_differ']:.0f} %",
        f"entropy of the soft labels, bits: {figures['entropy_where_they_differ']:.2f} where they "
        f"differ, {figures['entropy_where_they_agree']:.2f} where they agree; "
        f"{figures['entropy_of_the_wrong']:.2f} of the wrong, "
        f"{figures['entropy_of_the_right']:.2f} of the right",
        f"the {percent['doubtful']:.1f} % with a posterior below 0.9 hold "
        f"{percent['errors_among_the_doubtful']:.0f} % of the mixture's errors",
        "",
        "greatest posterior   customers  promised  right",
        *(
            f"  {row['from']:.2f} to {row['to']:.2f} {row['customers']:13d} "
            f"{row['promised']:9.3f} {row['right']:6.3f}"
            for row in figures["calibration"]
        ),
        f"errors: {percent['errors_promised']:.1f} % promised, {percent['errors']:.1f} % made; "
        f"calibration error {figures['calibration_error']:.3f}",
    ]
    return "\n".join(lines)


def picture(made: Clustering, figures: dict[str, Any], path: str) -> None:
    """Draw the truth, both partitions, and the calibration."""
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    colors = np.array([to_rgb(color) for color in COLORS[: len(SEGMENTS)]])
    with style():
        figure = Figure(figsize=(11, 8.6), layout="constrained")
        axes = figure.subplots(2, 2)
        differ = made.mixture != made.kmeans
        faint = np.where(differ, 1.0, 0.25)
        shown = (
            (axes[0, 0], colors[made.truth], 0.75, "who they are"),
            (axes[0, 1], colors[made.kmeans], faint, f"k-means, ARI {figures['ari_kmeans']:.2f}"),
            (axes[1, 0], made.soft @ colors, 0.75, f"mixture, ARI {figures['ari_mixture']:.2f}"),
        )
        for ax, color, alpha, title in shown:
            ax.scatter(*made.points.T, c=color, s=7, linewidths=0, alpha=alpha)
            ax.set_title(title)
            in_units(ax, made.points)
        for number, segment in enumerate(SEGMENTS):
            axes[0, 0].text(
                *segment.center, segment.name, ha="center", va="center", weight="bold",
                bbox={"facecolor": "white", "edgecolor": colors[number], "pad": 2.5, "lw": 1.5},
            )  # fmt: skip
        axes[0, 1].text(
            0.02, 0.03, f"full color: the mixture says otherwise ({100 * figures['differ']:.0f} %)",
            transform=axes[0, 1].transAxes, bbox={"facecolor": "white", "edgecolor": "#CCCCCC"},
        )  # fmt: skip
        for component, name in enumerate(made.names):
            ellipses(axes[1, 0], made.gmm, component, colors[name])
        reliability(axes[1, 1], made, figures)
        figure.set_label("Customers by visits and spending: truth, k-means, mixture, calibration")
    save(figure, path)


def in_units(ax: Any, points: np.ndarray) -> None:
    """Label the axes in visits and euros."""
    for axis, ticks in ((ax.xaxis, (0.3, 1, 3, 10, 30)), (ax.yaxis, (1, 3, 10, 30, 100, 300))):
        axis.set_ticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    low, high = np.quantile(points, (0.002, 0.998), axis=0)
    ax.set(xlim=(low[0] - 0.15, high[0] + 0.15), ylim=(low[1] - 0.3, high[1] + 0.15))
    ax.set(xlabel="visits a month", ylabel="euros a visit")


def ellipses(ax: Any, gmm: Mixture, component: int, color: Any) -> None:
    """Draw the ellipses of one and two standard deviations of a component."""
    covariance = gmm.covariances[component] if isinstance(gmm, FullGMM) else None
    if covariance is None:
        covariance = getattr(gmm, "covariance", np.diag(gmm.variances_by_dim()[component]))
    angles = np.linspace(0, 2 * np.pi, 100)
    circle = np.linalg.cholesky(covariance) @ np.stack([np.cos(angles), np.sin(angles)])
    for radius in (1, 2):
        line = gmm.means[component][:, None] + radius * circle
        ax.plot(*line, color="white", linewidth=3)
        ax.plot(*line, color=0.75 * np.asarray(color), linewidth=1.5)


def reliability(ax: Any, made: Clustering, figures: dict[str, Any]) -> None:
    """Draw how often each level of the posterior is right."""
    table = figures["calibration"]
    promised, right = ([row[key] for row in table] for key in ("promised", "right"))
    spread = [2 * np.sqrt(r["promised"] * (1 - r["promised"]) / r["customers"]) for r in table]
    ax.plot((0.4, 1), (0.4, 1), color=GRAY, linestyle="--", linewidth=1, label="as promised")
    ax.errorbar(promised, promised, spread, fmt="none", ecolor=GRAY, label="± 2 standard errors")
    ax.plot(promised, right, "o-", color=COLORS[0], label="mixture")
    for row in table:
        ax.annotate(
            f"{row['customers']}", (row["promised"], row["right"]), (9, -11),
            textcoords="offset points", fontsize=8, color=GRAY,
        )  # fmt: skip
    ax.set(xlim=(0.4, 1.03), ylim=(0.3, 1.03))
    ax.set(xlabel="greatest posterior (numbers: customers)", ylabel="share right")
    ax.set_title("what a posterior is worth")
    ax.legend(loc="upper left")


def main(arguments: Sequence[str] | None = None) -> None:
    """Cluster, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--customers", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="soft_clustering.png", help="the picture (.png or .svg)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with threadpool_limits(1):  # small products: more threads only wait for one another
        made, figures = cluster(options.customers, options.seed)
    picture(made, figures, options.out)
    print(json.dumps(figures) if options.json else report(figures))


if __name__ == "__main__":
    main()
