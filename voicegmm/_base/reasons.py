"""Reasons that many recordings share are told once, with how many and the first few of them."""

import re
from collections.abc import Mapping

N_NAMED = 3

# A number that stands alone, not one within a name such as s0102.wav.
_NUMBER = re.compile(r"(?<![^\s(])\d+(?:\.\d+)?(?=[\s,;:)%]|$)")


def together(reasons: Mapping[str, str], kind: str = "recordings") -> list[str]:
    """Tell reasons in few lines: those that are equal but for their numbers make one.

    Parameters
    ----------
    reasons : mapping of str to str
        Name -> what is to be told of it. The name may stand in the reason, behind its folder at
        the start: it is not told twice.
    kind : str
        What is named, in the plural.

    Returns
    -------
    list of str
        ``"a.wav: clipped"`` of one recording; of several ``"240 recordings (a.wav, b.wav, c.wav
        ...): clipped"``. Numbers that differ are told from the least to the largest.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, reason in reasons.items():
        found = re.match(rf"(?:.*?/)?{re.escape(name)}(?=[: ])", reason, re.DOTALL)
        told = reason[found.end() :] if found else f": {reason}"
        groups.setdefault(_NUMBER.sub("0", told), {})[name] = told
    lines = []
    for alike in groups.values():
        first = list(alike)[:N_NAMED]
        if len(alike) == 1:
            whole = first[0] + alike[first[0]]
            reason = reasons[first[0]]
            lines.append(reason if reason.endswith(whole) else whole)
        else:
            more = " ..." if len(alike) > N_NAMED else ""
            named = f"{len(alike)} {kind} ({', '.join(first)}{more})"
            lines.append(named + _in_one(list(alike.values())))
    return lines


def _in_one(alike: list[str]) -> str:
    columns = zip(*map(_NUMBER.findall, alike), strict=True)
    ranges = iter([sorted(set(column), key=float) for column in columns])

    def spread(_: re.Match[str]) -> str:
        numbers = next(ranges)
        return numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"

    return _NUMBER.sub(spread, alike[0])
