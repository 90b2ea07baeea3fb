"""Everything needed at serve time: audio in, hints or abstentions out, with no torch anywhere."""

import os

# ONNX Runtime records events about its host for its maker unless told not to, when it is imported. What is heard here
# concerns nobody else; who wants to send such events may set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The matrices of a hop are small: a second BLAS thread only spins, and one stream would cost two cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
