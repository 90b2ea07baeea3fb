"""Rows of both old JSON schemas, and files of them."""

import json
from pathlib import Path
from typing import Any

CHUNK: dict[str, Any] = {
    "segment_id": "POD0000000003_S0000123",
    "term_chunk_audio": "clips/POD0000000003_S0000123_term_Kalman_filter_4.10_4.78_ctx1.0s.wav",
    "term_chunk_text": "so we use a kalman filter to smooth it",
    "term_chunk_audio_ground_truth_terms": ["Kalman filter"],
    "term_start_time": 4.10,
    "term_end_time": 4.78,
    "term_start_time_abs": 4.10,
    "term_end_time_abs": 4.78,
    "term_duration": 0.68,
    "extended_start_time": 3.10,
    "extended_end_time": 5.78,
    "extended_duration": 2.68,
    "context_seconds": 1.0,
    "actual_extended_start": 3.10,
    "actual_extended_end": 5.78,
}
NO_TERM = CHUNK | {
    "segment_id": "POD0000000003_S0000123_no_term_0",
    "term_chunk_audio": "clips/none.wav",
    "term_chunk_audio_ground_truth_terms": [],
    "is_no_term_chunk": True,
    "context_seconds": 0,
    "term_start_time": 3.10,
    "term_end_time": 5.78,
}
SAMPLE: dict[str, Any] = {
    "segment_id": "POD0000000003_S0000007",
    "text": "an ion and a kalman filter",
    "audio": "/corpus/POD0000000003.opus:16000:48000",
    "begin_time": 1.0,
    "end_time": 4.0,
    "audio_id": "POD0000000003",
    "ground_truth_term": ["ion", "Kalman filter"],
    "has_target": True,
    "original_tsv_index": 7,
}


def write(path: Path, *rows: dict[str, Any] | str, listed: bool = True) -> Path:
    """A JSON list or JSON lines; a string is written as it is."""
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("[" + ",\n".join(texts) + "]" if listed else "\n".join(texts) + "\n", "utf-8")
    return path
