"""The errors of voicegmm. The command line prints each in one line and exits with 1."""


class VoicegmmError(Exception):
    """Anything that went wrong for a reason the user can mend."""


class OptionError(VoicegmmError, ValueError):
    """An option or an argument has a value that cannot work."""


class DataError(VoicegmmError, ValueError):
    """Numbers that cannot be used: a NaN, an infinity, a wrong shape, nothing at all."""


class AudioError(VoicegmmError):
    """A recording that gives no frames.

    Parameters
    ----------
    message : str
        What is wrong with which file, and the remedy.
    status : {"unreadable", "too short", "no speech"}
        What stands in the feature store and the score table instead of a number.
    """

    def __init__(self, message: str, status: str = "unreadable") -> None:
        super().__init__(message)
        self.status = status


class ListError(VoicegmmError):
    """A list of files, enrollments or trials that cannot be used as it stands."""


class FormatError(VoicegmmError):
    """A file that is not what it should be: damaged, of another kind, or too new."""


class MismatchError(VoicegmmError):
    """Two things that do not belong together: frames and a model made from other features."""


class EncryptionError(VoicegmmError):
    """An encrypted file that cannot be opened: no passphrase, a wrong one, or no library for it."""


class InUseError(VoicegmmError):
    """A run folder or a file that another process is working on."""


class WorkerError(VoicegmmError):
    """A worker process that died: the same work may succeed another time."""
