"""The model folder that a training starts from: is it one that can be, and still the same one?"""

from dataclasses import replace

from streaming.errors import ModelError, SettingError
from streaming.model_folder import ModelFolder
from training.loop.config import ModelConfig


def pinned(config: ModelConfig) -> ModelConfig:
    """The settings with the widths and the encoder id of the model folder that they start from, if it is one.

    Raises:
        SettingError: towers of another kind than a model folder has.
        ModelError: the folder is damaged, of another kind, or not the one that the settings were pinned to.
    """
    folder = base_folder(config)
    if folder is None:
        return config
    return replace(config, dim=folder.spec.dim, head_width=folder.spec.feature_width, base_id=folder.encoder_id)


def base_folder(config: ModelConfig) -> ModelFolder | None:
    """The model folder that the settings start from, checked; None where they start from something else.

    Raises:
        SettingError: towers of another kind than a model folder has.
        ModelError: the folder is damaged, of another kind, or not the one that the settings were pinned to.
    """
    if config.served is None:
        return None
    if (config.audio_tower, config.text_tower) != ("whisper", "characters"):
        raise SettingError(
            f"{config.model_name!r} is a model folder, whose towers are of Whisper's shape and of letters; add "
            "--audio-tower whisper --text-tower characters, or take --preset adapt"
        )
    folder = ModelFolder.load(config.served)
    if folder.spec.text_tokens != "letters":
        raise unfit(folder, f"its text tower reads {folder.spec.text_tokens}")
    if config.base_id not in ("", folder.encoder_id):
        raise ModelError(
            f"the training started from the model {config.base_id}, and the folder {folder.path} now holds "
            f"{folder.encoder_id}; put that model back there, or train again"
        )
    return folder


def unfit(folder: ModelFolder, why: str) -> ModelError:
    """The error for a folder that is whole but of another kind."""
    return ModelError(
        f"training cannot start from the model folder {folder.path}: {why}; name `bundled`, or a folder that "
        "`termcue export` wrote from a retriever of Whisper's shape and letters"
    )
