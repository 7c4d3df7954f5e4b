"""Short names of options: what people type, spelled out before anything else looks at it.

A class of options declares them (``ALIASES``), config files and settings may say them, and what is
shown, written and fingerprinted has the full names alone.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voicegmm._base.errors import OptionError


@dataclass(frozen=True)
class Alias:
    """A short name's meaning.

    Parameters
    ----------
    option : str
        The dotted path of the option, from the table that the short name stands in.
    values : mapping of str to str
        Short names of values, too.
    """

    option: str
    values: Mapping[str, str] = field(default_factory=dict)

    def meant(self, value: Any) -> Any:
        """Give a value by its full name."""
        return self.values.get(value, value) if isinstance(value, str) else value


def aliases_of(cls: type, path: str = "") -> dict[str, Alias]:
    """Give every short name below a class of options, by its dotted path."""
    prefix = f"{path}." if path else ""
    found = {f"{prefix}{name}": alias for name, alias in declared(cls).items()}
    for name, kind in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(kind):
            found |= aliases_of(typing.cast(type, kind), f"{prefix}{name}")
    return found


def declared(cls: type) -> Mapping[str, Alias]:
    """Give the short names that a class declares itself."""
    names: Mapping[str, Alias] = getattr(cls, "ALIASES", {})
    return names


def full_name(dotted: str, aliases: Mapping[str, Alias]) -> str:
    """Give the dotted path that a dotted path is short for: perhaps itself."""
    table, _, name = dotted.rpartition(".")
    alias = _alias(table, name, aliases)
    return f"{table}.{alias.option}".lstrip(".") if alias else dotted


def spelled_out(
    table: Mapping[str, Any], aliases: Mapping[str, Alias], path: str, where: str
) -> dict[str, Any]:
    """Put full names in the place of short ones, in a table and those in it.

    Parameters
    ----------
    table : mapping
        Of one file or one setting.
    aliases : mapping of str to Alias
        From `aliases_of`.
    path : str
        The dotted path of the table; what stands before the path of an alias does not count, so
        that the systems of a fused recipe have the names that a recipe has.
    where : str
        What says it, for errors.

    Raises
    ------
    OptionError
        If an option stands there by both its names.
    """
    prefix = f"{path}." if path else ""
    result: dict[str, Any] = {
        key: spelled_out(value, aliases, f"{prefix}{key}", where)
        if isinstance(value, Mapping)
        else value
        for key, value in table.items()
    }
    for name in table:
        if alias := _alias(path, name, aliases):
            *tables, option = alias.option.split(".")
            value, holder = result.pop(name), result
            for key in tables:
                holder = holder.setdefault(key, {})
                if not isinstance(holder, dict):
                    break
            if not isinstance(holder, dict) or option in holder:
                place = f"{where}: {prefix}{name}"
                raise OptionError(f"{name} is short for {alias.option}: give one of them ({place})")
            holder[option] = alias.meant(value)
    return result


def _alias(table: str, name: str, aliases: Mapping[str, Alias]) -> Alias | None:
    """Find what a name in a table is short for, if it is."""
    for dotted, alias in aliases.items():
        place, _, short = dotted.rpartition(".")
        if name == short and (table == place or (place and table.endswith(f".{place}"))):
            return alias
    return None
