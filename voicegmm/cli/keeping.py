"""Commands that keep a voice bank: list, remove, encrypt, decrypt."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicegmm.cli.console import debug_option, json_option, now, print_json, untrusted_option
from voicegmm.cli.passphrases import new_passphrase, open_bank, passphrase_of, passphrase_option
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.scoring import Removal
    from voicegmm.store import Traces

_BANK = click.argument("bank", type=click.Path(path_type=Path), metavar="BANK")


@click.command("list")
@_BANK
@click.option(
    "--audit",
    is_flag=True,
    help="Tell what enrolled each: when, seconds of speech, SHA-256 and name of each file; and "
    "when somebody was removed.",
)
@passphrase_option
@untrusted_option
@json_option
@debug_option
def list_speakers(bank: Path, audit: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """List the speakers of a bank."""
    from voicegmm._base.options import to_mapping

    opened, _ = open_bank(bank, passphrase_file)
    speakers = opened.voices.speakers
    spoken = dict(zip(speakers.ids, speakers.seconds.tolist(), strict=True))
    records = {name: speakers.records.get(name, ()) for name in spoken}
    if as_json and audit:
        print_json(
            {
                name: {"speech_seconds": spoken[name], "enrolled_from": to_mapping(each)}
                for name, each in records.items()
            }
        )
        return
    if as_json:
        print_json(spoken)
        return
    for name, seconds in spoken.items():
        say(f"{name}\t{seconds:.1f} s of speech")
        if not audit:
            continue
        for one in records[name]:
            when, content = one.enrolled_at or "(no time)", one.content or "(no hash)"
            say(f"  {when}  {one.seconds:.1f} s  {content}  {one.file}")
        if not records[name]:
            say("  no record: enrolled by an earlier version")
    for removal in opened.voices.removals if audit else ():
        say(f"(removed)  {removal.removed_at or '(no time)'}")
        for line in _still_derived(removal):
            say(f"  {line}")


def _still_derived(removal: "Removal") -> list[str]:
    """Say what of the bank somebody's voice is still in."""
    told = []
    for what, derives in (
        ("background model", removal.in_background),
        ("calibration", removal.in_calibration),
        ("subspace", removal.in_subspace),
    ):
        if derives:
            told.append(f"the {what} derives from that voice until it is trained again")
        elif derives is None:
            told.append(f"whether the {what} derives from that voice is not on record")
    return told


@click.command(short_help="Take a speaker out of a bank.")
@_BANK
@click.argument("name")
@click.option(
    "--look-in",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Look below DIR for features, models and runs that derive from the same recordings. May "
    "be given several times.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what derives from this voice.")
@passphrase_option
@json_option
@debug_option
def remove(
    bank: Path,
    name: str,
    folders: tuple[Path, ...],
    dry_run: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Take the speaker NAME out of a bank; the file is written anew without them.

    NAME may also be somebody of the cohort. Name, model, statistics, scores and record go, and all
    that the bank keeps of it is the time. Says which models, feature stores and runs derive from
    the same recordings, as far as files tell: by the SHA-256 of the recordings.
    """
    from voicegmm._base.files import locked
    from voicegmm.bank import VoiceBank
    from voicegmm.store import find_traces

    opened, passphrase = open_bank(bank, passphrase_file)
    rest = opened.remove(name, now())
    contents = opened.contents(name)
    traces = find_traces(folders, contents, skip=[bank])
    if not dry_run:
        with locked(bank):
            rest = VoiceBank.open(bank, passphrase).remove(name, now())
            rest.save(bank, passphrase)
    removal = rest.voices.removals[-1]
    if as_json:
        print_json(_told_of(bank, rest, removal, len(contents), traces, dry_run))
        return
    verb = "would be removed" if dry_run else "removed"
    say(f"{name} {verb}; {len(rest.names)} speakers remain")
    _print_derived(bank, removal, len(contents), traces)
    if not folders:
        say("  elsewhere: not looked for; --look-in DIR does")
    say("The recordings themselves, and copies of the bank, are not touched")


def _told_of(
    bank: Path, rest: Any, removal: "Removal", n_recordings: int, traces: "Traces", dry_run: bool
) -> dict[str, Any]:
    from voicegmm._base.options import to_mapping

    told: dict[str, Any] = to_mapping(
        {
            "bank": str(bank),
            "removed": not dry_run,
            "n_speakers": len(rest.names),
            "n_recordings": n_recordings,
            "in_background": removal.in_background,
            "in_calibration": removal.in_calibration,
            "in_subspace": removal.in_subspace,
            "derived": traces.found,
            "untold": traces.untold,
        }
    )
    return told


def _print_derived(bank: Path, removal: "Removal", n_recordings: int, traces: "Traces") -> None:
    for line in _still_derived(removal):
        say(f"  {bank}: {line}")
    for trace in traces.found:
        more = ": its scores and its report derive from them, too" if trace.what == "run" else ""
        say(f"  {trace.place}: {trace.what}, from {trace.n_recordings} recordings{more}")
    for place, reason in traces.untold.items():
        say(f"  {place}: cannot be told: {reason}")
    if not n_recordings:
        say("  no recording is on record, so that nothing else could be looked for")


@click.command(short_help="Encrypt a bank with a passphrase, or change it.")
@_BANK
@passphrase_option
@click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of a bank that is encrypted already: holds the passphrase that it shall have.  [default: "
    "it is asked for]",
)
@debug_option
def encrypt(bank: Path, passphrase_file: Path | None, new_passphrase_file: Path | None) -> None:
    """Encrypt a bank with a passphrase (scrypt, AES-256-GCM), or give it another.

    Commands on the bank then ask for it, or take it by --passphrase-file, and decrypt in memory
    alone. Whoever forgets it has lost the bank. Here --passphrase-file holds the passphrase that
    the bank has or, if it is not encrypted yet, shall have.
    """
    from voicegmm._base.files import locked
    from voicegmm.bank import VoiceBank
    from voicegmm.store import is_encrypted

    if not is_encrypted(bank):
        if new_passphrase_file:
            raise click.UsageError(f"{bank} has no passphrase yet; give one by --passphrase-file")
        new_passphrase_file, passphrase_file = passphrase_file, None
    _, old = open_bank(bank, passphrase_file)
    new = new_passphrase(new_passphrase_file, bank)
    with locked(bank):
        VoiceBank.open(bank, old).save(bank, new)
    say(f"{bank}: {'encrypted with the new passphrase' if old else 'encrypted'}")
    if not old:
        say("Its plain content may still be in free blocks of the disk, and in backups")


@click.command(short_help="Write an encrypted bank as a plain file.")
@_BANK
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Where to write it.  [default: BANK]"
)
@passphrase_option
@debug_option
def decrypt(bank: Path, out: Path | None, passphrase_file: Path | None) -> None:
    """Write an encrypted bank as a plain file, which only its owner can read."""
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.files import locked
    from voicegmm.store import is_encrypted, write_decrypted

    if not is_encrypted(bank):
        raise VoicegmmError(f"{bank}: {'is not encrypted' if bank.exists() else 'no such file'}")
    if out and out.exists() and out.resolve() != bank.resolve():
        raise VoicegmmError(f"{out} exists; name a file that does not")
    passphrase = passphrase_of(bank, passphrase_file)
    with locked(bank):
        write_decrypted(bank, passphrase, out or bank)
    say(f"{out or bank}: not encrypted; readable by its owner")
