"""The points of a sweep: every combination of the values that options are given."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from voicegmm._base.aliases import full_name
from voicegmm._base.errors import OptionError
from voicegmm._base.options import fingerprint
from voicegmm._base.presets import SETTING
from voicegmm.experiment.recipe import ALIASES, LoadedRecipe, load_recipe

_LONGEST_NAME = 100  # of a folder; most file systems allow 255 bytes
_OPENING, _CLOSING, _QUOTES = "[{", "]}", "\"'"


@dataclass(frozen=True)
class Axis:
    """An option, and the values that it is tried with.

    Parameters
    ----------
    key : str
        Dotted path, as "ubm.n_components".
    values : tuple of str
        Each as TOML writes it; what is not TOML is text.
    """

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """One combination of values.

    Parameters
    ----------
    name : str
        Short, and usable as a folder's name: "n_components=64,method=none".
    values : tuple of (str, str)
        Key and value of each axis.
    loaded : LoadedRecipe
        The recipe with these values laid over it.
    """

    name: str
    values: tuple[tuple[str, str], ...]
    loaded: LoadedRecipe


def read_axis(text: str) -> Axis:
    """Read ``key=value,value``; a comma in brackets or quotes parts no values.

    Raises
    ------
    OptionError
        If there is no key, no value or an empty one, or one twice.
    """
    key, found, rest = text.partition("=")
    key = key.strip()
    values = tuple(value.strip() for value in _parted(rest))
    if not found or not all(part.strip() for part in key.split(".")) or not all(values):
        raise OptionError(
            f"--grid takes key=value,value, as ubm.n_components=64,128,256; got {text!r}"
        )
    meant = [_meant(value) for value in values]
    for number, value in enumerate(meant):
        if value in meant[:number]:
            raise OptionError(f"--grid {key} has the value {values[number]} twice")
    return Axis(key, values)


def _parted(text: str) -> Iterator[str]:
    """Part at the commas outside of brackets and quotes."""
    depth, quote, begin = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in _QUOTES:
            quote = sign
        elif sign in _OPENING or sign in _CLOSING:
            depth += 1 if sign in _OPENING else -1
        elif sign == "," and not depth:
            yield text[begin:place]
            begin = place + 1
    yield text[begin:]


def _meant(text: str) -> tuple[str, object]:
    """Read a value as `voicegmm._base.presets.with_overrides` does; with its type: 1 is no true."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return type(value).__name__, value


def grid_points(recipe: str, grid: Sequence[str], settings: Sequence[str] = ()) -> list[Point]:
    """Give the points of a grid, each with its recipe: every option is checked.

    Parameters
    ----------
    recipe : str
        Path or preset name.
    grid : sequence of str
        ``key=value,value`` each; the last one changes fastest.
    settings : sequence of str
        ``key=value``, for all points.

    Returns
    -------
    list of Point

    Raises
    ------
    OptionError
        Naming the point and the value that cannot be; if an option stands twice, or is set too; if
        two points are one and the same experiment, so that an option would do nothing.
    """
    axes = [read_axis(text) for text in grid]
    if not axes:
        raise OptionError("a sweep takes at least one --grid key=value,value")
    keys = [axis.key for axis in axes]
    meant = [full_name(key, ALIASES) for key in keys]
    twice = [key for key, full in zip(keys, meant, strict=True) if meant.count(full) > 1]
    if twice:
        raise OptionError(f"--grid {twice[-1]} stands twice; give all its values in one")
    fixed = {full_name(text.partition("=")[0].strip(), ALIASES) for text in settings}
    set_too = [key for key, full in zip(keys, meant, strict=True) if full in fixed]
    if set_too:
        raise OptionError(f"{set_too[0]} stands in --grid and in --set; leave it out of --set")
    points = []
    for values in product(*(axis.values for axis in axes)):
        pairs = tuple(zip(keys, values, strict=True))
        name = _name(pairs)
        given = [f"{key}={value}" for key, value in pairs]
        # A preset takes the place of a whole table: values of that table are laid over it.
        layers = sorted([*settings, *given], key=lambda text: not _is_preset(text))
        try:
            points.append(Point(name, pairs, load_recipe(recipe, layers)))
        except OptionError as error:
            raise OptionError(f"{' '.join(given)}: {_of_grid(str(error), meant)}") from None
    _check_different(points)
    return points


def _of_grid(error: str, keys: Sequence[str]) -> str:
    """Say where a value stands: it is laid over the recipe as by --set, and --grid gave it."""
    for key in keys:
        error = re.sub(rf"\({SETTING}: (?={re.escape(key)}[.)])", "(--grid: ", error)
    return error


def _is_preset(setting: str) -> bool:
    return setting.partition("=")[0].strip().endswith(".extends")


def _check_different(points: Sequence[Point]) -> None:
    known: dict[str, str] = {}
    for point in points:
        same = known.setdefault(fingerprint(point.loaded.recipe), point.name)
        if same != point.name:
            raise OptionError(f"--grid: {same} and {point.name} are the same experiment")


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Give each key the shortest name that tells it from the others: "n_components".

    The preset of a table, ``features.extends``, is called as the table.
    """
    paths = {key: key.removesuffix(".extends").split(".") for key in keys}
    longest = max((len(path) for path in paths.values()), default=0)
    short = {key: ".".join(path) for key, path in paths.items()}
    for length in range(longest, 0, -1):
        shorter = {key: ".".join(path[-length:]) for key, path in paths.items()}
        if len(set(shorter.values())) == len(keys):
            short = shorter
    return short


def _name(values: Sequence[tuple[str, str]]) -> str:
    short = short_keys([key for key, _ in values])
    whole = ",".join(f"{short[key]}={value}" for key, value in values)
    plain = re.sub(r"[^\w.,=+-]+", "_", whole)
    if plain == whole and len(whole) <= _LONGEST_NAME:
        return whole
    return f"{plain[:_LONGEST_NAME]}-{fingerprint(list(values))[:8]}"
