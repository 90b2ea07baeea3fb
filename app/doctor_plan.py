"""What `termcue doctor --plan` says of a preset: weights, memory and time on paper."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.loop.plan import Fit, Part, Plan


def plan_of(preset: str) -> "Plan":
    """The plan of a preset of `termcue train`. Raises SettingError for a name that is none."""
    from training.loop.plan import plan
    from training.loop.presets import preset as settings_of

    return plan(settings_of(preset))


def plan_lines(preset: str) -> Iterator[str]:
    """The plan as a page."""
    from training.loop.plan import GIB

    planned = plan_of(preset)
    yield f"Preset {preset} on paper: {planned.batch_size} rows a step, {planned.wanted_micro_batch} a forward pass"
    yield ""
    yield f"{'part':<24}{'weights':>16}{'trained':>14}{'kept per row':>15}"
    for part in planned.parts:
        yield _part_line(part)
    yield f"{'in all':<24}{planned.parameters:>16,}{planned.trained:>14,}{planned.row_bytes / 2**20:>11.1f} MiB"
    yield ""
    yield f"Weights, gradients and optimiser: {planned.static_bytes / GIB:.1f} GiB"
    wanted = planned.memory(planned.wanted_micro_batch) / GIB
    yield f"With {planned.wanted_micro_batch} rows a forward pass: {wanted:.1f} GiB of GPU memory"
    yield ""
    yield f"{'card':<18}{'largest micro-batch':>21}{'memory':>12}{'s per step':>12}{'rows/s':>9}"
    for fit in planned.fits:
        yield _fit_line(fit, planned.batch_size)


def _part_line(part: "Part") -> str:
    kept = part.activation_bytes + part.layer_bytes
    return f"{part.name:<24}{part.parameters:>16,}{part.trained:>14,}{kept / 2**20:>11.1f} MiB"


def _fit_line(fit: "Fit", batch_size: int) -> str:
    if not fit.micro_batch:
        return f"{fit.card.name:<18}{'does not fit':>21}{fit.used_bytes / 2**30:>8.1f} GiB"
    return (
        f"{fit.card.name:<18}{fit.micro_batch:>21}{fit.used_bytes / 2**30:>8.1f} GiB"
        f"{fit.seconds:>12.2f}{batch_size / fit.seconds:>9.1f}"
    )


def plan_objects(preset: str) -> Iterator[dict[str, Any]]:
    """The plan for machines: an object a part, one a card and one for the whole."""
    planned = plan_of(preset)
    for part in planned.parts:
        yield {
            "type": "Part",
            "name": part.name,
            "parameters": part.parameters,
            "trained": part.trained,
            "bytes_per_row": part.activation_bytes + part.layer_bytes,
        }
    for fit in planned.fits:
        yield {
            "type": "Card",
            "name": fit.card.name,
            "fits": fit.micro_batch > 0,
            "micro_batch": fit.micro_batch,
            "bytes": round(fit.used_bytes),
            "seconds_per_step": round(fit.seconds, 3),
        }
    yield {
        "type": "Plan",
        "preset": preset,
        "parameters": planned.parameters,
        "trained": planned.trained,
        "static_bytes": planned.static_bytes,
        "bytes_per_row": planned.row_bytes,
        "batch_size": planned.batch_size,
        "micro_batch": planned.wanted_micro_batch,
        "bytes": round(planned.memory(planned.wanted_micro_batch)),
    }
