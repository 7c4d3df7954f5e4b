"""Passphrases of encrypted banks: asked for, or from a file, never on the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from voicegmm.cli.console import warn
from voicegmm.cli.terminal import visible

if TYPE_CHECKING:
    from voicegmm.bank import VoiceBank

F = TypeVar("F", bound=Callable[..., Any])


def passphrase_option(command: F) -> F:
    """Add --passphrase-file."""
    return click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Holds the passphrase of an encrypted bank, in one line; only its owner may be able "
        "to read it.  [default: it is asked for]",
    )(command)


def passphrase_of(bank: Path, file: Path | None) -> str:
    """Give the passphrase of a bank, asking for it where there is no file; empty for a plain one.

    Raises
    ------
    VoicegmmError
        If the file cannot be used, or there is no terminal to ask at.
    """
    from voicegmm.store import is_encrypted

    if is_encrypted(bank):
        return _asked(f"Passphrase of {bank}: ", file)
    if file and bank.exists():
        warn(f"{bank} is not encrypted; `voicegmm encrypt` would do that")
    return ""


def new_passphrase(file: Path | None, bank: Path) -> str:
    """Give the passphrase that a bank shall have: asked for twice where there is no file.

    Raises
    ------
    VoicegmmError
        As `passphrase_of`; and if it is too short, or the two differ.
    """
    from voicegmm._base.errors import OptionError
    from voicegmm.store.encryption import check_passphrase

    found = check_passphrase(_asked(f"New passphrase of {bank}: ", file))
    if not file and _asked("The same again: ", None) != found:
        raise OptionError("the two passphrases differ; nothing was done")
    return found


def open_bank(bank: Path, file: Path | None) -> "tuple[VoiceBank, str]":
    """Open a bank, and give its passphrase too, for saving it; empty if it is not encrypted."""
    from voicegmm.bank import VoiceBank

    passphrase = passphrase_of(bank, file)
    return VoiceBank.open(bank, passphrase), passphrase


def _asked(prompt: str, file: Path | None) -> str:
    import warnings
    from getpass import GetPassWarning, getpass

    from voicegmm._base.errors import EncryptionError
    from voicegmm._base.files import read_secret

    if file:
        return read_secret(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # it would be seen on the screen
            return getpass(visible(prompt))
    except UnicodeDecodeError:
        raise EncryptionError("what was typed is no UTF-8, as passphrases are") from None
    except (GetPassWarning, EOFError):
        raise EncryptionError(
            "there is no terminal to ask for the passphrase at; give it with --passphrase-file"
        ) from None
