import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from streaming.errors import SettingError
from training.loop.presets import preset
from training.loop.settings import read_file, replaced
from training.loop.slurm import SlurmError, SlurmSettings, script, submit, write_job


def directives(text: str) -> dict[str, str]:
    """#SBATCH --name=value lines."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", text, re.M))


def test_a_job_on_one_gpu(tmp_path: Path) -> None:
    """Names of logs are the document's, and what is not asked for is left to the site."""
    text = script(SlurmSettings(), "run", tmp_path / "my settings.json", Path("logs"))
    found = directives(text)
    assert found["output"] == "logs/qwen2_train_term_level_%j.out"
    assert found["error"] == "logs/qwen2_train_term_level_%j.err"
    assert (found["nodes"], found["gpus-per-node"], found["time"]) == ("1", "1", "1-00:00:00")
    assert not {"partition", "account"} & found.keys()
    assert found["signal"].startswith("TERM@")
    assert "#SBATCH --requeue" in text
    assert f"-m training.loop '{tmp_path}/my settings.json'" in text


def test_a_job_on_several_machines(tmp_path: Path) -> None:
    """Every node starts torchrun with the same meeting point."""
    job = SlurmSettings(2, 4, partition="gpu", account="speech", setup="module load cuda")
    text = script(job, "run", tmp_path / "s.json", Path("logs"), offline=True)
    found = directives(text)
    assert (found["nodes"], found["gpus-per-node"], found["partition"], found["account"]) == ("2", "4", "gpu", "speech")
    assert "--nnodes=2 --nproc-per-node=4" in text
    assert '--rdzv-endpoint="$head:' in text
    assert "export HF_HUB_OFFLINE=1" in text
    assert "\nmodule load cuda\n" in text


@pytest.mark.parametrize("job", [SlurmSettings(), SlurmSettings(2, 2), SlurmSettings(gpus=0, setup="true")])
def test_the_script_is_a_script(tmp_path: Path, job: SlurmSettings) -> None:
    """The shell reads it without a complaint."""
    text = script(job, "run", tmp_path / "s.json", Path("logs"))
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_times_are_slurms() -> None:
    """Anything else is refused before the job is."""
    for time in ("90", "12:00:00", "2-00:00:00"):
        SlurmSettings(time=time)
    with pytest.raises(SettingError, match="--slurm-time 'two days'"):
        SlurmSettings(time="two days")


def fake_sbatch(folder: Path, code: int, said: str) -> None:
    """A Slurm that takes or refuses every job."""
    folder.mkdir()
    program = folder / "sbatch"
    program.write_text(f'#!/bin/bash\necho "$@" > {folder}/asked\necho "{said}"\nexit {code}\n')
    program.chmod(0o755)


def test_a_job_is_written_and_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings beside the script are the run's; the number is Slurm's."""
    fake_sbatch(tmp_path / "bin", 0, "4711;cluster")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    config = replaced(preset("tiny"), {"run.logs": tmp_path / "logs", "run.save_path": tmp_path / "m_full.pt"})
    file = write_job(config, SlurmSettings())
    assert file == tmp_path / "logs/slurm/m_full.sbatch"
    assert read_file(file.with_suffix(".json")) == config
    assert json.loads(file.with_suffix(".json").read_text())["run"]["epochs"] == 2
    assert submit(file) == "4711"
    assert (tmp_path / "bin/asked").read_text().split() == ["--parsable", str(file)]


def test_a_refused_job_and_no_slurm_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Slurm says is passed on; without it the script is left to be taken elsewhere."""
    fake_sbatch(tmp_path / "bin", 1, "no such partition")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(SlurmError, match="no such partition"):
        submit(tmp_path / "x.sbatch")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match="no sbatch on this machine"):
        submit(tmp_path / "x.sbatch")


@pytest.mark.parametrize("option", ["partition", "account", "memory"])
def test_control_characters_are_refused(tmp_path: Path, option: str) -> None:
    """A line break would write lines of its own into the script."""
    with pytest.raises(SettingError, match=rf"--slurm-{option} .*control character"):
        SlurmSettings(**{option: "x\n#SBATCH --uid=0"})  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"--save-path .*control character"):
        script(SlurmSettings(), "a\nrm -r b", tmp_path / "s.json", Path("logs"))


def test_names_with_blanks_and_hyphens_are_quoted_or_cleaned(tmp_path: Path) -> None:
    """Slurm reads each as one value."""
    found = directives(script(SlurmSettings(partition="a b"), "-my run", tmp_path / "s.json", Path("my logs")))
    assert (found["job-name"], found["partition"]) == ("my_run", "'a b'")
    assert found["output"] == "'my logs/qwen2_train_term_level_%j.out'"
