"""A model folder -> the encoder that it holds."""

from streaming.encoder import OnnxFrameEncoder
from streaming.encoding.block_encoder import BlockEncoders
from streaming.encoding.providers import Provider
from streaming.model_folder import ModelFolder


def open_frame_encoder(
    folder: ModelFolder, threads: int = 1, provider: Provider = "cpu"
) -> OnnxFrameEncoder | BlockEncoders:
    """The encoder that hears blocks, or the one that hears every context anew.

    Raises:
        ModelError: the folder has no such graph, or ONNX Runtime refuses it.
        SettingError: this ONNX Runtime cannot run on the provider at all.
    """
    if folder.spec.blocks is None:
        return OnnxFrameEncoder(folder, threads, provider)
    return BlockEncoders(folder, folder.spec.blocks, threads, provider)
