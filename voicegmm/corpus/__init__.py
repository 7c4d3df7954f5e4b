"""What a corpus is made of: recordings, enrollments, trials; lists and folders that name them."""

from voicegmm.corpus.classes import ClassRecordings, scan_classes
from voicegmm.corpus.folders import (
    AUDIO_SUFFIXES,
    SpeakerFolder,
    find_recordings,
    scan_speakers,
    shared_recordings,
)
from voicegmm.corpus.labels import (
    LabeledSegment,
    Labels,
    labels_of,
    read_audacity_labels,
    read_kaldi_segments,
    read_labels,
    read_rttm,
)
from voicegmm.corpus.lists import (
    Enrollment,
    read_enrollments,
    read_files,
    read_paths,
    read_segments,
    write_enrollments,
    write_files,
    write_paths,
    write_segments,
)
from voicegmm.corpus.protocol import (
    Protocol,
    by_speaker,
    leakage_warnings,
    read_speakers,
    speaker_of,
)
from voicegmm.corpus.trials import Trials, read_trials, write_trials

__all__ = [
    "AUDIO_SUFFIXES",
    "ClassRecordings",
    "Enrollment",
    "LabeledSegment",
    "Labels",
    "Protocol",
    "SpeakerFolder",
    "Trials",
    "by_speaker",
    "find_recordings",
    "labels_of",
    "leakage_warnings",
    "read_audacity_labels",
    "read_enrollments",
    "read_files",
    "read_kaldi_segments",
    "read_labels",
    "read_paths",
    "read_rttm",
    "read_segments",
    "read_speakers",
    "read_trials",
    "scan_classes",
    "scan_speakers",
    "shared_recordings",
    "speaker_of",
    "write_enrollments",
    "write_files",
    "write_paths",
    "write_segments",
    "write_trials",
]
