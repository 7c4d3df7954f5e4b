"""What every figure shares: its look, and how it becomes a file."""

import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array
from voicegmm._base.errors import OptionError
from voicegmm._base.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color universal design", 2008: black last, yellow (too pale for a line) left out.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", "-.", ":")
GRAY = "#5A5A5A"

SUFFIXES = (".png", ".svg")
ROOM = 0.08  # inches around what is drawn: fonts differ in width from one viewer to another
PNG_DOTS_PER_INCH = 150

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "large",
    "figure.facecolor": "white",
    "font.size": 10.0,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "legend.edgecolor": "#CCCCCC",
    "legend.fontsize": "small",
    "legend.framealpha": 0.9,
    "lines.linewidth": 1.7,
    # Text stays text: it can be read aloud, found and copied, and the file is a third of the size.
    "svg.fonttype": "none",
    "svg.hashsalt": "voicegmm",
    "text.parse_math": False,  # a name with two dollars in it is a name
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}

# matplotlib's settings are global: whoever draws holds the lock and puts them back.
_LOCK = threading.RLock()


@contextmanager
def style() -> Iterator[None]:
    """Draw with our settings, whatever the user's matplotlibrc says, and leave theirs alone."""
    import matplotlib as mpl

    with _LOCK, mpl.rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes in a PNG; in an SVG it is text.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """Make an empty figure with one pair of axes, sizes in inches; to be called inside `style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=ROOM, h_pad=ROOM)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def finish(figure: "Figure", description: str) -> "Figure":
    """Lay the figure out once and for all, and say in words what it shows.

    matplotlib's layout starts from where the last one ended, so that a figure drawn twice would
    not be the same twice.
    """
    with style():
        for _ in range(2):  # axes of equal aspect find their place at the second
            figure.draw_without_rendering()
        figure.set_layout_engine(None)
    figure.set_label(description)
    return figure


def thinned(x: Float64Array, y: Float64Array, x_step: float, y_step: float) -> BoolArray:
    """Keep the points of a line that move it by a cell of (x_step, y_step); first and last stay.

    A curve of a million points is drawn with the few thousand that a reader could tell apart.
    """
    kept = np.ones(len(x), dtype=np.bool_)
    cell_x, cell_y = np.floor(x / x_step), np.floor(y / y_step)
    moved = (np.diff(cell_x) != 0) | (np.diff(cell_y) != 0)
    # Both ends of each step: with one of them a long straight step would come out oblique.
    kept[1:-1] = moved[:-1] | moved[1:]
    return kept


def save(figure: "Figure", path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG or SVG, aside first and then moved into place.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        Its suffix, .png or .svg, says the format.

    Returns
    -------
    Path
        Where it stands.

    Raises
    ------
    OptionError
        For another suffix.
    VoicegmmError
        Where the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(f"a figure's file must end in {' or '.join(SUFFIXES)}, got {path.name!r}")
    content = to_svg(figure).encode() if suffix == ".svg" else _to_png(figure)
    with whole_file(path) as aside:
        aside.write_bytes(content)
    return path


def to_svg(figure: "Figure") -> str:
    """Write a figure as an <svg> element, to stand in a file or in the middle of a page.

    Its <title> and <desc> are the title of the figure and what its author said of it, for those
    who have it read to them. The same figure gives the same text.
    """
    with style():
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    title = next((axes.get_title(loc="left") for axes in figure.axes), "")
    said = f"<title>{escape(title)}</title>\n <desc>{escape(str(figure.get_label()))}</desc>"
    # What stands before <svg> (XML declaration, document type) is not allowed inside a page.
    return re.sub(
        r"(?s)^.*?<svg ([^>]*)>",
        lambda head: f'<svg role="img" {head[1]}>\n {said}',
        svg,
        count=1,
    )


def _to_png(figure: "Figure") -> bytes:
    with style():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
