"""Names of speakers and what they were enrolled from: common to models of all kinds."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from voicegmm._base.errors import DataError, ListError
from voicegmm.scoring.records import EnrolledRecording


class Enrolled:
    """Speakers by name, each with the recordings that are known to have enrolled it.

    Attributes
    ----------
    ids : tuple of str
        Each name once.
    records : mapping of str to tuple of EnrolledRecording
        The audit record: name -> what the speaker was enrolled from, where it is known.
    """

    ids: tuple[str, ...]
    records: Mapping[str, tuple[EnrolledRecording, ...]]

    def check_names(self) -> None:
        """Refuse names that stand twice, and records of nobody."""
        if len(set(self.ids)) != len(self.ids):
            raise DataError("the names of the speakers must differ")
        unknown = set(self.records) - set(self.ids)
        if unknown:
            raise DataError(f"records must be of speakers, {min(unknown)!r} is none")

    def owners(self, content: str) -> dict[str, EnrolledRecording]:
        """Give who was enrolled from a recording of this content, and the record that tells."""
        return self._by_content.get(content, {})

    @cached_property
    def _by_content(self) -> dict[str, dict[str, EnrolledRecording]]:
        found: dict[str, dict[str, EnrolledRecording]] = {}
        for name, each in self.records.items():
            for record in each:
                if record.content:
                    found.setdefault(record.content, {})[name] = record
        return found

    def index(self, name: str) -> int:
        """Give the row of a speaker.

        Raises
        ------
        ListError
            Naming the speakers that there are.
        """
        if name not in self.ids:
            known = ", ".join(self.ids[:10]) + (", ..." if len(self.ids) > 10 else "")
            raise ListError(f"{name!r} is not enrolled; enrolled are: {known or 'none'}")
        return self.ids.index(name)

    def records_of(self, names: Sequence[str]) -> dict[str, tuple[EnrolledRecording, ...]]:
        """Give the records of some speakers, where there are any."""
        return {name: self.records[name] for name in names if name in self.records}
