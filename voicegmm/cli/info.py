"""What any of our files is, and whether it is as it was written."""

from pathlib import Path
from typing import Any

import click

from voicegmm.cli.console import debug_option, json_option, print_json, untrusted_option
from voicegmm.cli.passphrases import passphrase_of, passphrase_option
from voicegmm.cli.terminal import say


@click.command(short_help="Say what any of our files is.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--verify",
    "verified",
    is_flag=True,
    help="Read all of it, and compare its digests, checksums and fingerprints with the content.",
)
@passphrase_option
@untrusted_option
@json_option
@debug_option
def info(file: Path, verified: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """Say what any of our files is: format, version, what made it, what is in it."""
    from voicegmm.store import decrypted, describe, verify

    passphrase = passphrase_of(file, passphrase_file)
    source = decrypted(file, passphrase) if passphrase else file
    found = describe(source)
    if passphrase:
        found["encrypted"] = True
    if verified:
        found["verified"] = verify(source)
    if as_json:
        print_json(found)
        return
    told = found.pop("verified", ())
    _print_nested(found, "")
    for line in told:
        say(f"verified: {line}")


def _print_nested(mapping: dict[str, Any], indent: str) -> None:
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            say(f"{indent}{key}:")
            _print_nested(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            say(f"{indent}{key}: {len(value)}; the last:")
            _print_nested(value[-1], indent + "  ")
        elif value not in ("", None, {}, []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            say(f"{indent}{key}: {text}")
