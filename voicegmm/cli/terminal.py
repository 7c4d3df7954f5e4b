"""What is told to a terminal: names in it are from others, and a terminal obeys what it reads.

Names of files, of speakers and of tests may hold anything. A character that would move the cursor,
color or clear the screen, or turn the writing around, is shown as an escape. Files are written as
names are.
"""

import re

import click

# Control characters (C0 but the tab, DEL, C1), marks and overrides of the direction of writing,
# separators of lines, and bytes of a file's name that are no UTF-8.
_OBEYED = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Write characters that a terminal would obey as escapes: ``\x1b``, ``\u202e``."""
    return _OBEYED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte that it cannot decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def say(line: object, err: bool = False) -> None:
    """Print one line on standard output, or on standard error."""
    click.echo(visible(str(line)), err=err)


def say_lines(text: str, err: bool = False) -> None:
    """Print several lines, where it is ours that they are several."""
    for line in text.rstrip("\n").split("\n"):
        say(line, err)


def say_data(text: str) -> None:
    """Print JSON or TOML; an escape in its strings means there what the character would."""
    lines = text.rstrip("\n").split("\n")
    click.echo(
        "\n".join(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", one) for one in lines)
    )
