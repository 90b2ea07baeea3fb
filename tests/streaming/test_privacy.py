"""Nothing about the listener is kept or sent by the libraries beneath."""

import os
import subprocess
import sys
from pathlib import Path


def test_running_the_model_leaves_no_record_of_the_host(tmp_path: Path) -> None:
    """A run of the encoder writes no file into the home or cache folder: ONNX Runtime's telemetry is off."""
    code = (
        "import numpy\n"
        "from streaming.encoding.frame_encoders import open_frame_encoder\n"
        "from streaming.model_folder import BUNDLED, ModelFolder\n"
        "open_frame_encoder(ModelFolder.load(BUNDLED)).encode(numpy.zeros(48000, numpy.float32))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
