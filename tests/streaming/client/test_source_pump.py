from hypothesis import given
from hypothesis import strategies as st

from streaming.audio import AudioFormat
from streaming.client.source_pump import cut_frames


@given(
    st.lists(st.binary(max_size=20_000), max_size=8),
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.sampled_from([1, 2]),
)
def test_frames_have_the_length_the_protocol_wants(chunks: list[bytes], rate: int, channels: int) -> None:
    """Frames carry every byte in order, 20 to 100 ms each and whole samples, but for the last."""
    audio_format = AudioFormat(sample_rate=rate, channels=channels)
    frames = list(cut_frames(chunks, audio_format))
    assert b"".join(frames) == b"".join(chunks)
    for frame in frames[:-1]:
        samples, rest = divmod(len(frame), audio_format.bytes_per_frame)
        assert rest == 0
        assert 0.02 - 1 / rate <= samples / rate <= 0.1
