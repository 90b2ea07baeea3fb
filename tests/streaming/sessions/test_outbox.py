from streaming.events import Hint
from streaming.protocol import PercentilesPart
from streaming.sessions.outbox import Outbox, OutboxConfig


def test_percentiles_are_those_of_the_sorted_latencies() -> None:
    """The bounded counts give the nearest-rank percentiles, to 10 ms; a latency of any length is counted."""
    outbox = Outbox(OutboxConfig(session_id="s"))
    latencies_ms = [*range(0, 1000, 10), 10_000_000]
    for latency in latencies_ms:
        outbox.feed([Hint("h", "g:1", "ion", {}, 0, 16, 16 + latency * 16, 0.9, None, 1, 1)])
    metadata = outbox.metadata(0, from_close=False)
    assert metadata.latency_ms == PercentilesPart(p50=500, p95=950)
    assert metadata.latency_ms.p50 == sorted(latencies_ms)[-(-len(latencies_ms) * 50 // 100) - 1]


def test_a_stream_without_hints_has_no_latency() -> None:
    """There is no percentile of nothing."""
    outbox = Outbox(OutboxConfig(session_id="s"))
    assert outbox.metadata(16_000, from_close=True).latency_ms is None
