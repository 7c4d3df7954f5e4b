"""TOML that is written: what `tomllib` reads gives the values back."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voicegmm._base.errors import OptionError

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """Write a mapping as TOML: tables below single values, in their order.

    Parameters
    ----------
    values : mapping
        Of text, numbers, bools, lists of these, and mappings. TOML has no word for None: a value
        that is None is left out.
    notes : mapping of str to str, optional
        Dotted path of a value -> a comment behind it.

    Raises
    ------
    OptionError
        Naming a value that TOML cannot hold.
    """
    return "\n".join(_lines(values, (), notes or {})).lstrip("\n") + "\n"


def _lines(
    values: Mapping[str, Any], path: tuple[str, ...], notes: Mapping[str, str]
) -> Iterator[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    single = {key: value for key, value in values.items() if key not in tables}
    if path and (single or not tables):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for key, value in single.items():
        if value is not None:
            dotted = ".".join((*path, key))
            note = f"  # {_one_line(notes[dotted])}" if notes.get(dotted) else ""
            yield f"{_key(key)} = {_value(value, dotted)}{note}"
    for key, table in tables.items():
        yield from _lines(table, (*path, key), notes)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for one character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(note: str) -> str:
    return "".join(c if c.isprintable() else " " for c in note)


def _value(value: Any, dotted: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(each, dotted) for each in value)}]"
    raise OptionError(f"{dotted}: TOML has no {type(value).__name__}: {value!r}")
