"""Options: frozen dataclasses, read from mappings, written as canonical JSON, fingerprinted.

The config file, the command line, the files on disk and the fingerprints all go through these
functions, so an option is named, checked and given its default in one place: its dataclass.
"""

import dataclasses
import hashlib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from voicegmm._base.aliases import declared
from voicegmm._base.checks import did_you_mean
from voicegmm._base.errors import OptionError

T = TypeVar("T")


def from_mapping(
    cls: type[T],
    mapping: Mapping[str, Any],
    where: str = "",
    path: str = "",
    sources: Mapping[str, str] | None = None,
) -> T:
    """Build an options dataclass, refusing what it does not know.

    Parameters
    ----------
    cls : type
        A frozen dataclass; a field may be such a dataclass itself.
    mapping : mapping
        As read from TOML or JSON.
    where : str
        The file it came from, for errors.
    path : str
        The dotted path of `mapping` inside that file.
    sources : mapping, optional
        Dotted path -> file, where single keys came from another file than `where`.

    Raises
    ------
    OptionError
        Naming the value, what would be right, the file and the dotted path.
    """
    return _from_mapping(cls, mapping, where, path, sources or {}, (cls, path))


def _from_mapping(
    cls: type[T],
    mapping: Mapping[str, Any],
    where: str,
    path: str,
    sources: Mapping[str, str],
    whole: tuple[type, str],
) -> T:
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        dotted = f"{path}.{key}" if path else key
        place = _place(_source(sources, dotted, where), dotted)
        if key not in fields:
            near = _nearest(key, [*fields, *declared(cls)], *whole)
            raise OptionError(f"unknown option {key!r}{near}{place}")
        kind = hints[key]
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise OptionError(f"{key} must be a table, got {value!r}{place}")
            values[key] = _from_mapping(kind, value, where, dotted, sources, whole)  # type: ignore[arg-type]
            continue
        try:
            values[key] = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            reason = str(error)[:1].lower() + str(error)[1:]
            raise OptionError(f"{key}: {reason}: {value!r}{place}") from None
    missing = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        place = _place(where, f"{path}.{missing[0]}".lstrip("."))
        raise OptionError(f"{missing[0]} is missing{place}")
    try:
        return cls(**values)
    except OptionError as error:
        first = re.match(r"\w+(\.\w+)*", str(error))
        named = first[0] if first and first[0].partition(".")[0] in fields else ""
        dotted = f"{path}.{named}".strip(".")
        raise OptionError(f"{error}{_place(_source(sources, dotted, where), dotted)}") from None


def _source(sources: Mapping[str, str], dotted: str, where: str) -> str:
    """Tell which file says a value: of a table, the one that says most of it, if it is one."""
    inner = {file for key, file in sources.items() if key.startswith(f"{dotted}.")}
    return sources.get(dotted) or (inner.pop() if len(inner) == 1 else where)


def _nearest(key: str, beside: Sequence[str], cls: type, path: str) -> str:
    """Name the nearest option: one of the same table, or one of this name in another table."""
    if near := did_you_mean(key, beside):
        return near
    dotted = list(_dotted(cls, f"{path}." if path else ""))
    if near := did_you_mean(key, {name.rpartition(".")[2] for name in dotted}):
        places = [name for name in dotted if f"'{name.rpartition('.')[2]}'" in near]
        return f" (did you mean {' or '.join(map(repr, places[:3]))}?)"
    return f"; there are {', '.join(beside)}"


def _dotted(cls: type, prefix: str) -> Iterator[str]:
    yield from (f"{prefix}{name}" for name in declared(cls))
    for name, kind in typing.get_type_hints(cls).items():
        yield f"{prefix}{name}"
        if dataclasses.is_dataclass(kind):
            yield from _dotted(kind, f"{prefix}{name}.")  # type: ignore[arg-type]


def _place(where: str, dotted: str) -> str:
    return f" ({where}: {dotted})" if where else f" ({dotted})" if "." in dotted else ""


def to_mapping(options: Any) -> dict[str, Any]:
    """Turn an options dataclass into plain dicts, lists, strings and numbers."""
    return typing.cast(dict[str, Any], msgspec.to_builtins(options, enc_hook=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def canonical_json(value: Any) -> str:
    """Write a value as JSON with sorted keys: the same options give the same bytes."""
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    return msgspec.json.encode(plain, order="deterministic").decode()


def fingerprint(*parts: Any) -> str:
    """Give the first 32 hex digits of the SHA-256 of the parts' canonical JSON."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:32]


def differences(first: Any, second: Any) -> dict[str, tuple[Any, Any]]:
    """Tell where two sets of options differ.

    Parameters
    ----------
    first, second : dataclass or mapping

    Returns
    -------
    dict of str to (value, value)
        By dotted path; None where one side does not know the option.
    """
    one, other = _flat(to_mapping(first)), _flat(to_mapping(second))
    return {
        key: (one.get(key), other.get(key))
        for key in one | other
        if key not in one or key not in other or one[key] != other[key]
    }


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
        )
    return flat
