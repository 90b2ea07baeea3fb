from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.replay_lines import print_replay
from app.replaying import PaceStep, Replay, pace_steps, replay
from streaming.background_files import BackgroundFiles
from streaming.errors import RecordingError
from streaming.pacing import PaceState
from streaming.protocol import CloseCode, Limits, encode
from streaming.session import Close, Output, ServedGlossary, open_session, refusal
from streaming.sessions.catalogue import Catalogue
from streaming.sessions.recorded_session import RecordedSession, session_folders
from streaming.sessions.recording import SessionRecorder
from streaming.testing import ToneIndex, synthetic_pcm, tone_glossary, tone_index
from streaming.wire.client_messages import CloseStream, Configure, Finalize
from streaming.wire.messages import Error, GlossaryUpdated, Lag, ServerMessage, TermHint, Warning

SPEECH = synthetic_pcm([(0, 400), (900, 600), (0, 700), (1700, 300), (0, 500), (1700, 400), (0, 900)])


def _tones(version: str, highest: str = "tones:1700") -> ServedGlossary:
    """The tones as a version in which the highest has another id."""
    *lower, last = tone_index().entries
    return tone_glossary(ToneIndex((*lower, replace(last, entry_id=highest)), version))


VERSIONS = {"v1": _tones("v1"), "v2": _tones("v2", "tones:high")}


def _load(_: str, version: str) -> ServedGlossary:
    return VERSIONS.get(version, VERSIONS["v2"])


class Recorded:
    """A session of tones that is recorded while a test plays it."""

    numbers: ClassVar = iter(range(1 << 30))

    def __init__(self, folder: Path, query: str = "glossary=tones&target_lang=de") -> None:
        self.catalogue = Catalogue({"tones": VERSIONS["v1"]})
        self.said: list[Output] = []
        opened, greeting = open_session(query, self.catalogue, session_id="s_1", limits=Limits(), resume_token="r")
        assert opened is not None
        self.session = opened
        self.recorder = SessionRecorder.open(folder / str(next(self.numbers)), "s_1", query, "model-1", "v1")
        self.tell(greeting)

    def tell(self, outputs: Iterable[Output]) -> None:
        outputs = list(outputs)
        self.recorder.sent(outputs)
        self.said += outputs

    def hear(self, chunk: bytes) -> None:
        self.recorder.received_audio(chunk)
        self.tell(self.session.receive_audio(chunk))

    def read(self, text: str) -> None:
        self.recorder.received_text(text)
        self.tell(self.session.receive_text(text))

    def close(self) -> RecordedSession:
        self.read(encode(CloseStream()))
        self.recorder.close()
        return self.recording()

    def recording(self) -> RecordedSession:
        files = self.recorder._files
        assert isinstance(files, BackgroundFiles)
        return RecordedSession.read(files.folder)

    @property
    def hints(self) -> list[TermHint]:
        return [output for output in self.said if isinstance(output, TermHint)]


def _replay(recording: RecordedSession, model_id: str = "model-1") -> Replay:
    return replay(recording, model_id, _load, lambda one, other: one == other)


def test_a_replay_gives_the_same_hints(tmp_path: Path) -> None:
    """The same frames give the hints of the recording, and nothing was otherwise."""
    recorded = Recorded(tmp_path)
    for at in range(0, len(SPEECH), 3201):
        recorded.hear(SPEECH[at : at + 3201])
    recording = recorded.close()
    done = _replay(recording)
    assert len(recorded.hints) == done.recorded_hints == done.replayed_hints == 3
    assert (done.differences, done.circumstances, recording.is_whole) == ((), (), True)
    assert done.duration_s == len(SPEECH) / 32_000


STEPS = st.one_of(
    st.tuples(st.just("audio"), st.integers(0, 20_001)),
    st.tuples(st.just("lag"), st.floats(0, 5)),
    st.tuples(st.just("resume"), st.just(0)),
    st.tuples(st.just("publish"), st.sampled_from(["v1", "v2"])),
    st.tuples(st.just("configure"), st.sampled_from([0.2, 0.6, 0.9999])),
    st.tuples(st.just("finalize"), st.just(0)),
    st.tuples(st.just("warn"), st.just(0)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(steps=st.lists(STEPS, max_size=24), form=st.sampled_from(["", "&format=term_map", "&abstain_events=true"]))
def test_whatever_happened_happens_again(tmp_path: Path, steps: list[tuple[str, object]], form: str) -> None:
    """Lag, broken connections, other versions, changed settings, flushes: the replay gives the same hints."""
    recorded = Recorded(tmp_path, f"glossary=tones&target_lang=de{form}")
    at = 0
    for kind, value in steps:
        match kind, value:
            case "audio", int(size):
                recorded.hear(SPEECH[at : at + size])
                at += size
            case "lag", float(lag_s):
                recorded.tell(recorded.session.pace(lag_s))
            case "resume", _:
                recorded.tell(recorded.session.resumed(recorded.session.last_seq))
                at = 2 * recorded.session.received_frames
            case "publish", str(version):
                recorded.catalogue.replace("tones", VERSIONS[version])
            case "configure", float(threshold):
                recorded.read(encode(Configure(threshold=threshold)))
            case "finalize", _:
                recorded.read(encode(Finalize()))
            case _:
                recorded.tell(recorded.session.overflowed(1))
    recorded.hear(SPEECH[at:])
    done = _replay(recorded.close())
    assert (done.differences, done.circumstances) == ((), ())


def test_a_replay_falls_behind_where_the_server_did(tmp_path: Path) -> None:
    """Hints that a server left out because it was too slow are left out again."""
    recorded = Recorded(tmp_path)
    second = synthetic_pcm([(900, 400), (0, 600)])
    for _ in range(6):
        recorded.hear(second)
        recorded.tell(recorded.session.pace(9.0))
    assert any(isinstance(output, Lag) and output.state == "skipping" for output in recorded.said)
    recording = recorded.close()
    assert len(recorded.hints) < 6
    assert _replay(recording).differences == ()


@pytest.mark.parametrize("lags", [[0.5] * 60, [0.6] * 30 + [2.5] * 20 + [0.0] * 60, [1.5] * 10 + [0.2] * 50])
def test_a_replay_falls_behind_for_as_long(tmp_path: Path, lags: list[float]) -> None:
    """Told are only the steps; what decided them, frame after frame, is not."""
    recorded = Recorded(tmp_path)
    speech = synthetic_pcm([(900, 400), (0, 600)]) * (len(lags) // 10)
    for number, lag_s in enumerate(lags):
        recorded.hear(speech[3200 * number : 3200 * (number + 1)])
        recorded.tell(recorded.session.pace(lag_s))
    recording = recorded.close()
    kept = [step.is_slower for step in pace_steps(recording.messages)]
    assert kept[0]
    assert kept.count(False) == (2 if 0.0 in lags else 0)
    assert _replay(recording).differences == ()


def test_what_a_server_of_other_bounds_gave_up_is_given_up_again() -> None:
    """Old servers took a step back below 0.3 s: the warnings tell it, whatever the lag."""
    messages: list[ServerMessage] = [
        Warning(seq=3, code="degraded_hop", message=""),
        _lag(4, 2.0, 1.5, "degraded"),
        _lag(5, 12.0, 0.5, "degraded"),
        Warning(seq=6, code="restored_hop", message=""),
        Warning(seq=7, code="backpressure", message=""),
        _lag(8, 14.0, 0.25, "ok"),
    ]
    assert pace_steps(messages) == [PaceStep(2.0, True), PaceStep(14.0, False)]


def _lag(seq: int, at_s: float, lag_s: float, state: PaceState) -> Lag:
    return Lag(seq=seq, audio_received_s=at_s, audio_processed_s=at_s, lag_s=lag_s, dropped_windows=0, state=state)


def test_a_replay_follows_the_glossary_where_the_session_did(tmp_path: Path) -> None:
    """A version published meanwhile is taken over at the same place of the audio clock."""
    recorded = Recorded(tmp_path)
    recorded.hear(SPEECH[:40_000])
    recorded.catalogue.replace("tones", VERSIONS["v2"])
    recorded.hear(SPEECH[40_000:])
    recording = recorded.close()
    assert any(isinstance(output, GlossaryUpdated) for output in recorded.said)
    done = _replay(recording)
    assert (done.differences, done.circumstances) == ((), ())


def test_another_model_and_version_are_told_beside_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that is gone is replaced by the current one; that and the model are named, and the other hint."""
    recorded = Recorded(tmp_path)
    recorded.catalogue.replace("tones", _tones("v0"))
    recorded.hear(synthetic_pcm([(1700, 600), (0, 900)]))
    recording = recorded.close()
    done = _replay(recording, "model-2")
    assert [(c.what, c.recorded, c.replayed) for c in done.circumstances] == [
        ("model", "model-1", "model-2"),
        ("glossary tones", "v0", "v2"),
    ]
    assert [each.kind for each in done.differences] == ["missing", "extra"]
    assert done.differences[0].hint == recorded.hints[0]
    print_replay(recording.header, done, is_json=False)
    shown = capsys.readouterr().out
    for words in (
        "model-1",
        "model-2",
        "missing",
        "1700 hertz tone",
        "other hints",
        "extra",
        "1 hint recorded, 1 replayed",
    ):
        assert words in shown


def test_what_the_last_frame_gave_need_not_be_on_the_disk(tmp_path: Path) -> None:
    """Of a killed server the last hints may be missing in the recording; that is no difference."""
    recorded = Recorded(tmp_path)
    recorded.recorder.received_audio(SPEECH)
    files = recorded.recorder._files
    assert isinstance(files, BackgroundFiles)
    files.close({})
    recording = recorded.recording()
    assert not recording.is_whole
    done = _replay(recording)
    assert (done.recorded_hints, done.replayed_hints > 0, done.differences) == (0, True, ())


def test_of_a_whole_recording_a_hint_too_much_is_a_difference(tmp_path: Path) -> None:
    """A hint that was not given when the session was recorded shows."""
    recorded = Recorded(tmp_path)
    recorded.recorder.received_audio(SPEECH)
    recorded.recorder.close()
    done = _replay(recorded.recording())
    assert {each.kind for each in done.differences} == {"extra"}


def test_a_version_that_was_asked_for_and_is_gone_does_not_stop_the_replay(tmp_path: Path) -> None:
    """The address names a version; the replay takes another and says so."""
    recorded = Recorded(tmp_path, "glossary=tones&version=v1")
    recorded.hear(SPEECH)
    recording = recorded.close()
    done = replay(recording, "model-1", lambda *_: _tones("v3"), lambda *_: False)
    assert [(c.recorded, c.replayed) for c in done.circumstances] == [("v1", "v3")]
    assert done.differences == ()


def test_a_refused_session_cannot_be_replayed(tmp_path: Path) -> None:
    """A recording without a greeting is named."""
    recorder = SessionRecorder.open(tmp_path, "s_1", "glossary=tones", "model-1", "v1")
    recorder.sent(refusal("not_ready", CloseCode.NOT_READY, "wait"))
    recorder.close()
    with pytest.raises(RecordingError, match="refused"):
        _replay(RecordedSession.read(session_folders(tmp_path)[0]))


def test_a_session_that_cannot_be_opened_here_is_named(tmp_path: Path) -> None:
    """The reason of the refusal is passed on."""
    recorded = Recorded(tmp_path)
    recording = recorded.close()
    silent: Mapping[str, ServedGlossary] = {"v1": replace(VERSIONS["v1"], target_langs=("fr",))}
    with pytest.raises(RecordingError, match="target_lang"):
        replay(recording, "model-1", lambda _, version: silent[version], lambda *_: True)


def test_a_session_that_the_server_ended_is_replayed_to_there(tmp_path: Path) -> None:
    """A frame that was refused is refused again, and ends the replay as it ended the session."""
    recorded = Recorded(tmp_path)
    recorded.hear(SPEECH)
    recorded.hear(bytes(Limits().max_frame_bytes + 1))
    assert isinstance(recorded.said[-1], Close)
    assert isinstance(recorded.said[-2], Error)
    recorded.recorder.close()
    done = _replay(recorded.recording())
    assert (done.recorded_hints, done.differences) == (len(recorded.hints), ())
