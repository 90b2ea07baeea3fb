"""The commands as a user runs them, each in a process of its own, with the bundled model."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.samples import glossary_path, recordings
from streaming.model_folder import BUNDLED

ROOT = Path(__file__).parents[2]
SHORT = str(recordings()[1].path)
MODEL = ("--model", str(BUNDLED))
# So low that some term is always hinted: these tests are about the way, not about the model.
SENSITIVE = ("--threshold", "0.0001")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give an environment without the developer's settings, data and cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TERMCUE_")}
    return {**kept, "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", *arguments]


def _run(
    environment: Mapping[str, str], *arguments: str, sent: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(_command(*arguments), cwd=ROOT, env=environment, input=sent, capture_output=True, check=False)


def _hints(output: bytes) -> list[dict[str, object]]:
    """The hints of a run, without what two may differ in: numbering, the name of the version, and the wall clock."""
    messages = [json.loads(line) for line in output.splitlines()]
    differing = ("seq", "glossary_version")
    hints = [{k: v for k, v in m.items() if k not in differing} for m in messages if m["type"] == "TermHint"]
    return [{**hint, "latency_ms": hint["latency_ms"]["since_term_end"]} for hint in hints]


@contextmanager
def _server(environment: Mapping[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running server and its address."""
    with subprocess.Popen(
        _command("serve", "--port", "0", *MODEL, *arguments), cwd=ROOT, env=environment, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        try:
            # A machine that is busy is told before the address.
            said: list[str] = []
            while not said or "ws://" not in said[-1]:
                said.append(process.stderr.readline().decode())
                assert said[-1], "".join(said)
            yield process, said[-1].split()[-1]
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_file_gives_the_same_bytes_at_any_speed(environment: dict[str, str]) -> None:
    """As fast as it goes and in real time: standard output is the same, byte for byte, and holds hints."""
    arguments = ("listen", SHORT, "--glossary", str(glossary_path()), "--json", "--abstentions", *MODEL, *SENSITIVE)
    fast, paced = _run(environment, *arguments), _run(environment, *arguments, "--realtime")
    assert (fast.returncode, paced.returncode) == (0, 0), fast.stderr + paced.stderr
    assert fast.stdout == paced.stdout
    assert _hints(fast.stdout)


def test_raw_audio_on_standard_input_gives_the_same_hints(environment: dict[str, str]) -> None:
    """Decoding elsewhere and piping the samples changes nothing."""
    import soundfile

    samples, rate = soundfile.read(SHORT, dtype="int16")
    arguments = ("--glossary", str(glossary_path()), "--json", *MODEL, *SENSITIVE)
    piped = _run(environment, "listen", "-", "--sample-rate", str(rate), *arguments, sent=samples.tobytes())
    assert piped.returncode == 0, piped.stderr
    assert _hints(piped.stdout) == _hints(_run(environment, "listen", SHORT, *arguments).stdout)


def test_published_glossary_is_served_with_the_same_hints(environment: dict[str, str]) -> None:
    """reindex, serve and stream end to end: what a client is told is what `listen` prints."""
    published = _run(environment, "reindex", str(glossary_path()), "--id", "sample", "--json", *MODEL)
    assert published.returncode == 0, published.stderr
    version = json.loads(published.stdout)["version"]
    local = _run(environment, "listen", SHORT, "--glossary", "sample", "--json", "--target-lang", "zh", *MODEL)
    with _server(environment) as (process, url):
        streamed = _run(
            environment, "stream", SHORT, "--url", url, "--glossary", "sample", "--target-lang", "zh", "--json"
        )
        unknown = _run(environment, "stream", SHORT, "--url", url, "--glossary", "none")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert streamed.returncode == 0, streamed.stderr
    first, *_, last = [json.loads(line) for line in streamed.stdout.splitlines()]
    assert first["glossary"] == {"id": "sample", "version": version, "terms": json.loads(published.stdout)["entries"]}
    assert last["type"] == "Metadata"
    assert _hints(streamed.stdout) == _hints(local.stdout)
    assert unknown.returncode == 1
    assert unknown.stderr.count(b"\n") == 1


def test_no_published_glossary_is_said(environment: dict[str, str]) -> None:
    """An empty list is nothing on standard output and a sentence on standard error."""
    listed = _run(environment, "glossaries", "list")
    assert (listed.returncode, listed.stdout) == (0, b"")
    assert b"no glossary is published in" in listed.stderr


def test_published_glossaries_are_listed_and_shown(environment: dict[str, str]) -> None:
    """What reindex published can be found again; an id that was never published is told with those that were."""
    version = json.loads(_run(environment, "reindex", str(glossary_path()), "--id", "talks", "--json", *MODEL).stdout)[
        "version"
    ]
    listed = _run(environment, "glossaries", "list", "--json")
    found = {"type": "Glossary", "id": "talks", "version": version, "entries": 54, "target_langs": ["de", "zh", "es"]}
    assert json.loads(listed.stdout) == found
    assert b"54 entries     de, zh, es" in _run(environment, "glossaries", "list").stdout
    assert json.loads(_run(environment, "glossaries", "show", "talks", "--json").stdout)["version"] == version
    unknown = _run(environment, "glossaries", "show", "other")
    assert unknown.returncode == 1
    assert b"(published: talks)" in unknown.stderr


def test_interrupt_of_a_stream_is_its_end(environment: dict[str, str]) -> None:
    """Ctrl-C while listening: what was heard is told to the sum of the stream, exit code 130, no traceback."""
    command = _command("listen", "sample", "--realtime", "--json", "--abstentions", *MODEL)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert rest.endswith(b"\n")
    messages = [json.loads(line) for line in (*first, *rest.splitlines())]
    assert messages[-1]["type"] == "Metadata"
    assert messages[-1]["duration"] < 30


def test_reader_of_a_client_that_goes_away_is_no_error(environment: dict[str, str]) -> None:
    """`termcue stream ... | head` ends without a word, as other commands do."""
    with _server(environment, "--glossary", str(glossary_path())) as (_, url):
        command = _command("stream", SHORT, "--url", url, "--glossary", "glossary", "--json", "--abstentions")
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
    assert process.returncode == 1


def _heed_interrupts() -> None:
    """A shell lets its background jobs ignore SIGINT, and with them all that a test run in one of them starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_interrupt_of_a_client_waiting_for_input_is_quiet(environment: dict[str, str]) -> None:
    """Ctrl-C while a thread waits for standard input ends at once and in order."""
    with _server(environment, "--glossary", str(glossary_path())) as (_, url):
        command = _command("stream", "-", "--url", url, "--glossary", "glossary", "--json")
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=_heed_interrupts
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(bytes(3200))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["type"] == "Begin"
            process.send_signal(signal.SIGINT)
            # Its input stays open: the end of it would be a second reason to end.
            process.wait(timeout=30)
            _, said = process.communicate()
    assert process.returncode == 130
    assert said.strip() in (b"", b"^C")


def test_doctor_finds_model_and_glossary_whole(environment: dict[str, str]) -> None:
    """With a whole model and a published glossary both are named with their hashes checked."""
    _run(environment, "reindex", str(glossary_path()), "--id", "talks", *MODEL)
    finished = _run(environment, "doctor", "--json", *MODEL)
    found = {
        check["name"]: check for check in map(json.loads, finished.stdout.splitlines()) if check["type"] == "Check"
    }
    assert found["model"]["status"] == "ok"
    assert found["glossary talks"]["status"] == "ok"
    assert found["model step.onnx"]["detail"] == "runs on CPUExecutionProvider"
    assert re.search(r"holds about [1-9]\d* people .* keeps 2\.\d MB of each", found["speed"]["detail"])
