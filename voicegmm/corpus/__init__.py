"""What a corpus is made of: recordings, enrollments, trials; lists and folders that name them."""

from voicegmm.corpus.checking import CheckOptions, CorpusCheck, Problem, check_corpus
from voicegmm.corpus.classes import ClassRecordings, scan_classes
from voicegmm.corpus.folders import AUDIO_SUFFIXES, find_recordings, shared_recordings
from voicegmm.corpus.kaldi import read_kaldi_table
from voicegmm.corpus.labels import (
    LabeledSegment,
    Labels,
    labels_of,
    read_audacity_labels,
    read_kaldi_segments,
    read_labels,
    read_rttm,
)
from voicegmm.corpus.layouts import (
    LAYOUTS,
    read_corpus,
    read_models,
    read_speakers,
    recognize,
    scan_speakers,
)
from voicegmm.corpus.lists import (
    Enrollment,
    read_enrollments,
    read_files,
    read_segments,
    write_enrollments,
    write_files,
    write_paths,
    write_segments,
)
from voicegmm.corpus.long_lists import TrialParts, n_parts_of, parts_folder, split_trials
from voicegmm.corpus.protocol import Protocol, drawn, leakage_warnings, trials_within
from voicegmm.corpus.splits import ProtocolFolder, Split
from voicegmm.corpus.tables import read_utterances, write_utterances
from voicegmm.corpus.trials import Trials, read_trials, write_trials
from voicegmm.corpus.utterances import Corpus, Utterance, by_speaker, speaker_of

__all__ = [
    "AUDIO_SUFFIXES",
    "LAYOUTS",
    "CheckOptions",
    "ClassRecordings",
    "Corpus",
    "CorpusCheck",
    "Enrollment",
    "LabeledSegment",
    "Labels",
    "Problem",
    "Protocol",
    "ProtocolFolder",
    "Split",
    "TrialParts",
    "Trials",
    "Utterance",
    "by_speaker",
    "check_corpus",
    "drawn",
    "find_recordings",
    "labels_of",
    "leakage_warnings",
    "n_parts_of",
    "parts_folder",
    "read_audacity_labels",
    "read_corpus",
    "read_enrollments",
    "read_files",
    "read_kaldi_segments",
    "read_kaldi_table",
    "read_labels",
    "read_models",
    "read_rttm",
    "read_segments",
    "read_speakers",
    "read_trials",
    "read_utterances",
    "recognize",
    "scan_classes",
    "scan_speakers",
    "shared_recordings",
    "speaker_of",
    "split_trials",
    "trials_within",
    "write_enrollments",
    "write_files",
    "write_paths",
    "write_segments",
    "write_trials",
    "write_utterances",
]
