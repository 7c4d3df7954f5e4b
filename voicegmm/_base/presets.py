"""Presets: named TOML files that travel with the package, and files like them anywhere else."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicegmm._base.aliases import Alias, spelled_out
from voicegmm._base.checks import did_you_mean
from voicegmm._base.errors import OptionError

SETTING = "--set"
"""What a value came from that no file says."""
_MOST_BYTES, _MOST_LINE = 1_000_000, 4_000


@dataclass(frozen=True)
class Config:
    """A mapping of options, and which file each came from.

    Parameters
    ----------
    values : dict
        Nested tables.
    sources : dict of str to str
        Dotted path of each value -> the file, or `SETTING`.
    path : pathlib.Path, optional
        The file that was asked for.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    path: Path | None = None


def presets_folder() -> Path:
    """Give the folder of presets: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def preset_names() -> dict[str, Path]:
    """Give every preset by name."""
    return {path.stem: path for path in sorted(presets_folder().rglob("*.toml"))}


def find_config(name: str, beside: Path | None = None) -> Path:
    """Find a preset by name, or a file by path.

    Parameters
    ----------
    name : str
        A preset's name, as "voicegmm-16k", or a path ending in .toml.
    beside : path, optional
        The folder that a relative path starts from.

    Raises
    ------
    OptionError
        If there is none, naming the nearest.
    """
    if name.endswith(".toml"):
        path = (beside or Path()) / name
        if not path.is_file():
            raise OptionError(f"{path}: no such config file; check the path")
        return path
    presets = preset_names()
    if name not in presets:
        if "/" in name or Path(name).exists():
            raise OptionError(f"{name}: the name of a config file ends in .toml")
        raise OptionError(
            f"no preset is called {name!r}{did_you_mean(name, presets)}; there are "
            f"{_by_folder(presets)} (a path to a file ends in .toml)"
        )
    return presets[name]


def _by_folder(presets: Mapping[str, Path]) -> str:
    """Name presets by what they are of: the folder they are in."""
    folders: dict[str, list[str]] = {}
    for name, path in presets.items():
        folders.setdefault(path.parent.name, []).append(name)
    return "; ".join(f"of {folder}: {', '.join(names)}" for folder, names in folders.items())


def load_config(
    name: str, beside: Path | None = None, aliases: Mapping[str, Alias] | None = None
) -> Config:
    """Read a config file or preset, with everything it extends.

    A file, and each table in it, may say ``extends = "NAME"``: the preset's values are taken and
    those of the file laid over them.

    Parameters
    ----------
    name, beside
        As of `find_config`.
    aliases : mapping of str to Alias, optional
        Short names that files may say; the values of the config have the full ones.

    Raises
    ------
    OptionError
        If a file is missing or is not TOML, the extensions go in a circle, or an option stands in
        a file by both its names.
    """
    path = find_config(name, beside)
    values, sources = _load(path, (), aliases or {}, "")
    return Config(values, sources, path)


def _load(
    path: Path, seen: tuple[Path, ...], aliases: Mapping[str, Alias], place: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a file that stands for the table at `place`."""
    if path.resolve() in seen:
        raise OptionError(f"{path}: extends itself, by way of {seen[-1]}")
    table = spelled_out(_read_toml(path), aliases, place, str(path))
    return _expanded(table, path, (*seen, path.resolve()), "", aliases, place)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: cannot be read: {error}") from None
    lines = content.splitlines()
    # Python's reader takes memory by the square of the dots in a key.
    if len(content) > _MOST_BYTES or max(map(len, lines), default=0) > _MOST_LINE:
        raise OptionError(
            f"{path}: a config has at most {_MOST_BYTES} bytes, and {_MOST_LINE} in a line"
        )
    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path}: not TOML: {error}") from None


def _expanded(
    table: Mapping[str, Any],
    path: Path,
    seen: tuple[Path, ...],
    prefix: str,
    aliases: Mapping[str, Alias],
    place: str,
) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if "extends" in table:
        base = table["extends"]
        if not isinstance(base, str):
            raise OptionError(f"extends must be the name of a preset, got {base!r} ({path})")
        try:
            found_path = find_config(base, path.parent)
        except OptionError as error:
            raise OptionError(f"{error} ({path}: {prefix}extends)") from None
        values, found = _load(found_path, seen, aliases, f"{place}.{prefix}".strip("."))
        sources = {prefix + key: source for key, source in found.items()}
    for key, value in table.items():
        if key == "extends":
            continue
        if isinstance(value, Mapping):
            inner, found = _expanded(value, path, seen, f"{prefix}{key}.", aliases, place)
            replaces = "extends" in value
            old = {} if replaces else values.get(key, {})
            if replaces:
                sources = _without(sources, f"{prefix}{key}")
            values[key] = _laid_over(old if isinstance(old, dict) else {}, inner)
            sources |= found
        else:
            if isinstance(values.get(key), dict):
                sources = _without(sources, prefix + key)
            values[key] = value
            sources[prefix + key] = str(path)
    return values, sources


def _laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _laid_over(old, value) if both else value  # type: ignore[arg-type]
    return merged


def with_overrides(
    config: Config, settings: Sequence[str], aliases: Mapping[str, Alias] | None = None
) -> Config:
    """Lay ``key=value`` settings over a config.

    Parameters
    ----------
    config : Config
    settings : sequence of str
        ``ubm.n_components=256``: a dotted path, and a value as TOML writes it; what is not TOML is
        taken for text. ``features.extends=NAME`` puts a preset in place of a table.
    aliases : mapping of str to Alias, optional
        Short names that settings may say.

    Raises
    ------
    OptionError
        If a setting has no "=", or two set one option by both its names.
    """
    aliases, typed = aliases or {}, dict[str, str]()
    values, sources = config.values, dict(config.sources)
    for setting in settings:
        dotted, found, text = setting.partition("=")
        parts = [part.strip() for part in dotted.split(".")]
        if not found or not all(parts):
            raise OptionError(f"--set takes key=value, as ubm.n_components=256; got {setting!r}")
        if parts[-1] == "extends":
            place = ".".join(parts[:-1])
            inner, origins = _load(find_config(text.strip()), (), aliases, place)
            if place:
                sources = _without(sources, place)
            layer = _nested(parts[:-1], inner)
            values = _laid_over(_laid_over(values, _nested(parts[:-1], None)), layer)
            sources |= {f"{place}.{key}".lstrip("."): origin for key, origin in origins.items()}
            continue
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        layer = spelled_out(_nested(parts, value), aliases, "", SETTING)
        values = _laid_over(values, layer)
        said = list(_leaves(layer, ""))
        if not isinstance(value, Mapping):  # a table is laid over, anything else replaces what was
            dotted = ".".join(parts)
            other = typed.setdefault(said[0], dotted)
            if other != dotted:
                raise OptionError(f"{SETTING}: {other} and {dotted} are one option: give one")
            sources = _without(sources, said[0])
        sources |= dict.fromkeys(said, SETTING)
    return Config(values, sources, config.path)


def _without(sources: Mapping[str, str], table: str) -> dict[str, str]:
    return {
        key: source
        for key, source in sources.items()
        if key != table and not key.startswith(f"{table}.")
    }


def _leaves(value: Any, dotted: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{dotted}.{key}".lstrip("."))
    else:
        yield dotted


def _nested(parts: Sequence[str], value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return value if parts else {}
