"""Tiny trees of the shape of public corpora: empty files, or the speech of artificial voices."""

import hashlib

import numpy as np
import soundfile

from voicegmm.synthesis import draw_voice, speak

RATE = 16_000


def number(*words):
    """Give a seed that hangs on these words alone."""
    return int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:4])


def empty(path, speaker):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def spoken(path, speaker):
    """Write 0.7 s of a speaker, in the format of the file's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voice = draw_voice(np.random.default_rng(number(speaker)))
    rng = np.random.default_rng(number(speaker, *path.parts[-3:]))
    samples = speak(voice, rng, seconds=0.7).samples
    if path.suffix == ".raw":
        (samples * 32767).astype(">i2").tofile(path)
    else:
        form = "NIST" if path.suffix == ".sph" else None
        soundfile.write(path, samples, RATE, subtype="PCM_16", format=form)


def text(path, *lines, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def voxceleb1(root, make=empty, n_others=3):
    """Two speakers who are tried, others who are not, as the two archives unpack side by side."""
    for speaker in ("id10270", "id10271"):
        for video in ("5r0dWxy17C8", "zzzzzzzzzz_"):
            for take in (1, 2):
                make(root / f"vox1_test_wav/wav/{speaker}/{video}/{take:05}.wav", speaker)
    for other in range(n_others):
        for take in range(3):
            speaker = f"id1000{other}"
            make(root / f"vox1_dev_wav/wav/{speaker}/1zcIwhmdeo4/{take:05}.wav", speaker)
    a, b = "id10270/5r0dWxy17C8/0000{}.wav", "id10271/zzzzzzzzzz_/0000{}.wav"
    trials = [f"1 {a.format(1)} {a.format(2)}", f"0 {a.format(1)} {b.format(1)}",
              f"1 {b.format(2)} {b.format(1)}", f"0 {b.format(2)} {a.format(2)}"]  # fmt: skip
    text(root / "veri_test.txt", *trials, end="\r\n")
    text(root / "veri_test2.txt", *trials[1:])
    return root


def librispeech(root, make=empty):
    """Three readers who are tried, one of whom read one chapter; two others; one of dev-clean."""
    readers = [
        ("61", "M", "test-clean", (70968, 70970)),
        ("121", "F", "test-clean", (1, 2)),
        ("237", "F", "test-clean", (9,)),
        ("19", "F", "train-clean-100", (198, 227)),
        ("26", "M", "train-clean-360", (495,)),
        ("84", "F", "dev-clean", (5, 6)),
    ]
    lines = [";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for reader, sex, part, chapters in readers:
        lines.append(f"{reader:<5}| {sex} | {part:<17}| 25.03 | Zoë | of many names")
        for chapter in chapters:
            folder = root / f"LibriSpeech/{part}/{reader}/{chapter}"
            text(folder / f"{reader}-{chapter}.trans.txt", f"{reader}-{chapter}-0000 SO IT IS")
            for take in range(6):
                make(folder / f"{reader}-{chapter}-{take:04}.flac", reader)
    text(root / "LibriSpeech/SPEAKERS.TXT", *lines)
    return root


def voxforge(root, make=empty):
    """Users with one set or two, one of them nobody, with READMEs in two languages."""
    users = {"Zoë": ("Gender: Female", 2), "ann b": ("Gender: [female];", 2),
             "bob": ("Geschlecht: männlich", 2), "max": ("Sexo: Masculino", 2),
             "ida": ("Sexe: femme", 2), "uma": ("Geschlecht: weiblich", 2),
             "eve-x": ("Gender: unknown", 1), "anonymous": ("Gender: Male", 3)}  # fmt: skip
    for user, (line, n_sets) in users.items():
        for number_ in range(n_sets):
            folder = root / f"extracted/{user}-200{9 - number_}0318-k{number_}l"
            kind = "flac" if user == "bob" else "wav"
            for take in range(5):
                make(folder / f"{kind}/a{take:04}.{kind}", user)
            text(folder / "etc/README", f"User Name:{user}", "", "Speaker Characteristics:", "",
                 line, "Age Range: Adult", end="\r\n")  # fmt: skip
    return root


def an4(root, make=empty, suffix=".sph"):
    """Three speakers who train, three who are tried, six recordings each."""
    parts = {
        "train": ("an4_clstk", ("fash", "mblb", "mjwl")),
        "test": ("an4test_clstk", ("fcaw", "marh", "mdms2")),
    }
    for part, (folder, speakers) in parts.items():
        names = [f"{folder}/{speaker}/an{take}-{speaker}-b" for speaker in speakers
                 for take in range(400, 406)]  # fmt: skip
        for name in names:
            make(root / f"an4/wav/{name}{suffix}", name.split("/")[1])
        text(root / f"an4/etc/an4_{part}.fileids", *names)
    return root


def asvspoof2019(root, make=empty, n=4):
    """Two speakers a part, bona fide and spoofed: spoofs are of a voice of their own."""
    inner, utterance = root / "LA", 1000000
    for part, kind, letter in (("train", "trn", "T"), ("dev", "trl", "D"), ("eval", "trl", "E")):
        lines = []
        for speaker in range(2):
            name = f"LA_00{number(part) % 50 + speaker:02}"
            for label, attack in (("bonafide", "-"), ("spoof", "A07")):
                for _ in range(n):
                    utterance += 1
                    file = f"LA_{letter}_{utterance}"
                    voice = name if label == "bonafide" else f"machine {speaker % 2}"
                    make(inner / f"ASVspoof2019_LA_{part}/flac/{file}.flac", voice)
                    lines.append(f"{name} {file} - {attack} {label}")
        protocol = f"ASVspoof2019.LA.cm.{part}.{kind}.txt"
        text(inner / "ASVspoof2019_LA_cm_protocols" / protocol, *lines)
    rng = np.random.default_rng(0)
    for part in ("dev", "eval"):
        lines = [f"{source} {key} {score:.6f}"
                 for source, key, mean in (("bonafide", "target", 3), ("bonafide", "nontarget", -3),
                                           ("A07", "spoof", 2))
                 for score in rng.normal(mean, 1.5, 40)]  # fmt: skip
        text(
            inner / f"ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.{part}.gi.trl.scores.txt",
            *lines,
        )
    return root
