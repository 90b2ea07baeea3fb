"""Whether the extra `train` is installed: what the commands of training ask before they read anything."""

from importlib import util

from streaming.errors import SettingError

# TermCue is on no package index: extras are installed from a checkout.
INSTALL_TRAINING = "in a checkout: pip install '.[train]'"


def require_training(command: str, *modules: str) -> None:
    """Raise SettingError where modules of the extra `train` that a command needs are missing.

    Args:
        command: what the user called.
        modules: that it imports, by their top-level names.
    """
    missing = [module for module in modules if util.find_spec(module) is None]
    if missing:
        raise SettingError(f"{command} needs {', '.join(missing)}; install them, {INSTALL_TRAINING}")
