"""What the distribution must be: alone with its package names, light at its base, licensed, and explained."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OUR_PACKAGES = ("app", "streaming", "training", "index_builder", "demo")
MODULE_OF = {
    "faiss-cpu": "faiss",
    "huggingface-hub": "huggingface_hub",
    "prometheus-client": "prometheus_client",
    "python-calamine": "python_calamine",
    "python-json-logger": "pythonjsonlogger",
    "scikit-learn": "sklearn",
    "webrtcvad-wheels": "webrtcvad",
}
MAX_MODEL_BYTES = 80 * 2**20
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirement_name(requirement: str) -> str:
    """Return the distribution named by a requirement such as `click>=8.1; python_version < '4'`."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return match[0].lower()


def declared_requirements() -> set[str]:
    """Return every distribution named in the base, the extras and the dependency groups."""
    groups = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    groups += [[entry for entry in group if isinstance(entry, str)] for group in PROJECT["dependency-groups"].values()]
    return {requirement_name(requirement) for group in groups for requirement in group}


@pytest.mark.parametrize("package", OUR_PACKAGES)
def test_no_other_distribution_owns_our_package_names(package: str) -> None:
    """A rival in site-packages would silently replace ours, so no other distribution may own the name."""
    owners = set(packages_distributions().get(package, ()))
    assert owners <= {"termcue"}


def test_the_wheel_takes_exactly_the_five_packages() -> None:
    """The layout is fixed: five packages on top, all of them in the wheel."""
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(OUR_PACKAGES)


def test_every_package_folder_of_ours_has_an_init_file() -> None:
    """A folder with modules but without __init__.py would be missed by mypy and the import contracts."""
    folders = {path.parent for package in OUR_PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_no_init_file_below_tests() -> None:
    """A package below tests would shadow the package under test that has the same name."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_base_dependencies_bring_no_training_library() -> None:
    """The main job runs without torch, transformers and Gradio: they belong to extras."""
    base = {requirement_name(requirement) for requirement in PROJECT["project"]["dependencies"]}
    assert base.isdisjoint({"torch", "transformers", "gradio", "safetensors", "onnx", "sounddevice"})


def test_extras_can_stand_beside_the_base() -> None:
    """No extra may name a distribution that installs the same modules as one of the base."""
    assert declared_requirements().isdisjoint({"onnxruntime-gpu", "faiss-gpu", "faiss-gpu-cu12", "webrtcvad"})


def test_every_dependency_has_its_reason_in_contributing() -> None:
    """CONTRIBUTING.md gives the reason for each distribution that pyproject.toml names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [name for name in sorted(declared_requirements()) if f"`{name}`" not in text] == []


def test_the_bundled_model_stays_small() -> None:
    """The model folder in the wheel takes at most 80 MiB."""
    files = (ROOT / "streaming" / "models" / "compact").rglob("*")
    assert sum(path.stat().st_size for path in files if path.is_file()) <= MAX_MODEL_BYTES


def test_every_bundled_recording_is_named_in_its_licence_note() -> None:
    """No recording ships without its source and licence."""
    note = (ROOT / "app" / "samples" / "LICENSE.md").read_text(encoding="utf-8")
    recordings = sorted((ROOT / "app" / "samples").glob("*.flac"))
    assert len(recordings) == 6
    assert [path.name for path in recordings if f"`{path.name}`" not in note] == []


def test_the_licence_is_the_one_declared() -> None:
    """LICENSE holds the full text of the licence that pyproject.toml declares."""
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_make_task_named_in_the_pages_exists() -> None:
    """README.md and CONTRIBUTING.md name no task that the Makefile lacks."""
    tasks = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md"))
    named = set(re.findall(r"`make ([a-z-]+)", pages)) | set(re.findall(r"^make ([a-z-]+)", pages, flags=re.MULTILINE))
    assert named >= {"hints", "test", "check"}
    assert named <= tasks


def test_changelog_has_the_current_version() -> None:
    """The version being built has its section in the changelog."""
    assert f"## [{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def imported_modules(*packages: str) -> set[str]:
    """Return the top-level modules that the packages import, wherever in a module the import stands."""
    names: set[str] = set()
    for path in (file for package in packages for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - set(OUR_PACKAGES)


def modules_of(*groups: list[str]) -> set[str]:
    """Return the modules that the requirements install."""
    names = [requirement_name(requirement) for group in groups for requirement in group]
    return {MODULE_OF.get(name, name) for name in names}


def test_base_dependencies_are_exactly_what_the_base_imports() -> None:
    """Nothing is installed for nothing, and nothing that is imported is left to chance."""
    extras = PROJECT["project"]["optional-dependencies"]
    base = modules_of(PROJECT["project"]["dependencies"])
    assert (
        imported_modules("app", "index_builder", "streaming") - modules_of(extras["mic"], extras["simuleval"]) == base
    )


def test_training_imports_only_what_its_extra_declares() -> None:
    """The extra `train` brings all that training imports beside the base."""
    declared = modules_of(PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]["train"])
    assert imported_modules("training") <= declared
