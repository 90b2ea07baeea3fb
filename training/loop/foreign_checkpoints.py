"""Files that are no checkpoints of TermCue, known by the names and shapes of their tensors."""

from pathlib import Path

from torch import Tensor

from training.loop.checkpoint import CheckpointError

_SONAR_WIDTH = 1024


def foreign_checkpoint(path: Path, head: object) -> CheckpointError:
    """What to tell of a file of another program that was loaded as `head`: which program, where that shows."""
    weights = _weights_in(head)
    names = [str(name).removeprefix("module.") for name in weights]
    projection = next((w for n, w in weights.items() if str(n).endswith("proj_speech.weight")), None)
    is_sonar = isinstance(projection, Tensor) and projection.shape[-1] == _SONAR_WIDTH
    if is_sonar or any("sonar" in name.lower() for name in names):
        return CheckpointError(
            f"{path} is of the SONAR system: its {_SONAR_WIDTH}-wide encoder and projections fit no tower here, so its "
            "weights cannot be used. Train anew with `termcue train`; its term-level data is read unchanged."
        )
    if projection is not None:
        return CheckpointError(
            f"{path} is of the earlier Qwen2-Audio scripts, which saved projections only and of another architecture; "
            "train anew with `termcue train`; the data is read unchanged."
        )
    held = f"it holds {', '.join(names[:3])}, …" if names else f"it holds a {type(head).__name__}"
    return CheckpointError(f"{path} is no checkpoint of TermCue ({held}); give a file that `termcue train` wrote.")


def _weights_in(head: object) -> dict[object, object]:
    """The table of tensors, which programs put under several names or at the top."""
    if not isinstance(head, dict):
        return {}
    inner = next((head[n] for n in ("model_state_dict", "state_dict", "model") if isinstance(head.get(n), dict)), None)
    return head if inner is None else inner
