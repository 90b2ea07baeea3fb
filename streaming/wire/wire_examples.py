"""One example of every message of the wire protocol, for its description."""

from streaming.wire.client_messages import ClientMessage, CloseStream, Configure, Feedback, Finalize, KeepAlive, Marker
from streaming.wire.message_parts import (
    AlternativePart,
    AudioPart,
    CloseCode,
    EffectivePart,
    GlossaryPart,
    LatencyPart,
    Limits,
    PercentilesPart,
)
from streaming.wire.messages import (
    PROTOCOL_VERSION,
    Abstain,
    Begin,
    Configured,
    Error,
    GlossaryUpdated,
    HintRetracted,
    Lag,
    MarkerReached,
    Metadata,
    ServerMessage,
    SpeechEndedMessage,
    SpeechStartedMessage,
    TermHint,
    TermMap,
    Warning,
)

_VERSION, _NEXT_VERSION = "20261014T091203Z-3fd1a2b4c5d6", "20261014T104410Z-77b0c4d1e2f3"

SERVER_EXAMPLES: tuple[ServerMessage, ...] = (
    Begin(
        seq=0,
        protocol=PROTOCOL_VERSION,
        session_id="s_8f2c",
        glossary=GlossaryPart(id="acl2022", version=_VERSION, terms=238),
        profile="booth",
        threshold=0.86,
        audio=AudioPart(encoding="linear16", sample_rate=16_000, channels=1),
        limits=Limits(),
        resume_token="r_1a9e",
        expires_in_s=60.0,
    ),
    TermHint(
        seq=41,
        hint_id="h17",
        rev=1,
        is_final=True,
        term="masked language model",
        translation="掩码语言模型",
        entry_id="acl2022:000113",
        start=12.48,
        end=13.6,
        start_sample=199_680,
        end_sample=217_600,
        emitted=14.08,
        score=0.91,
        raw_similarity=0.832,
        rank=1,
        occurrence=1,
        glossary_version=_VERSION,
        alternatives=(AlternativePart(term="masked LM", translation="掩码语言模型", score=0.52),),
        latency_ms=LatencyPart(since_term_end=480, queue=35, encode=41, score=12),
    ),
    HintRetracted(seq=42, hint_id="h16", reason="superseded"),
    Abstain(seq=43, start=14.08, end=14.4, reason="below_threshold", best_score=0.41, threshold=0.86),
    SpeechStartedMessage(seq=7, timestamp=11.91),
    SpeechEndedMessage(seq=58, timestamp=19.77),
    MarkerReached(seq=62, id="m3", audio_processed_s=31.0),
    Configured(
        seq=59,
        request_id="c1",
        effective=EffectivePart(
            profile="mt",
            threshold=0.78,
            max_hints_per_window=10,
            glossary="acl2022",
            version="latest",
            mute_entries=("acl2022:000007",),
        ),
    ),
    GlossaryUpdated(
        seq=60, from_version=_VERSION, to_version=_NEXT_VERSION, effective_at=20.16, added=4, removed=1, changed=2
    ),
    TermMap(
        seq=40, start=12.48, end=13.44, terms=(("masked language model", "掩码语言模型", 0.91), ("BERT", None, 0.88))
    ),
    Lag(seq=61, audio_received_s=31.2, audio_processed_s=29.6, lag_s=1.6, dropped_windows=0, state="degraded"),
    Warning(seq=63, code="degraded_hop", message="1.6 s behind: it decides 2 times less often"),
    Error(
        seq=64,
        code="invalid_config",
        close_code=CloseCode.CONFIG,
        fatal=False,
        message="threshold = 1.2: give 0..1",
        field="threshold",
        request_id="c2",
    ),
    Metadata(
        seq=99,
        session_id="s_8f2c",
        duration=1803.4,
        hints=57,
        abstained_windows=2210,
        from_close=True,
        latency_ms=PercentilesPart(p50=610, p95=1240),
    ),
)
CLIENT_EXAMPLES: tuple[ClientMessage, ...] = (
    Configure(request_id="c1", profile="mt", max_hints_per_window=10, mute_entries=("acl2022:000007",)),
    KeepAlive(),
    Finalize(),
    Marker(id="m3"),
    Feedback(hint_id="h17", verdict="wrong", note="said of a person"),
    CloseStream(),
)
