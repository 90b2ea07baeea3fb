from pathlib import Path

import pytest

from streaming.errors import SettingError
from training.loop.overrides import check_files, configured
from training.loop.presets import PRESETS, TOLD, preset

EXAMPLES = ("debug", "production", "multi-gpu", "term-only", "hard-negative", "custom-model")
COMBINATIONS = ("quick-check", "standard", "high-performance", "rejection-focused")


def test_the_documents_presets_are_there() -> None:
    """Six examples, four combinations, a card of 24 GB, the compact one, its adaptation and a tiny one; each is explained."""
    assert {*EXAMPLES, *COMBINATIONS, "qwen2-audio", "24gb", "compact", "adapt", "tiny"} == set(PRESETS) == set(TOLD)
    with pytest.raises(SettingError, match=r"no preset 'fast'; there are qwen2-audio"):
        preset("fast")


@pytest.mark.parametrize("name", [*EXAMPLES, *COMBINATIONS])
def test_weights_are_the_documents(name: str) -> None:
    """0.3 and 0.7 everywhere, the model of the document, 512 dimensions."""
    config = preset(name)
    assert (config.losses.audio_text, config.losses.audio_term) == (0.3, 0.7)
    assert (config.model.model_name, config.model.dim) == ("Qwen/Qwen2-Audio-7B-Instruct", 512)


@pytest.mark.parametrize(
    ("name", "no_term", "mined"),
    [
        ("quick-check", False, False),
        ("standard", True, False),
        ("high-performance", True, True),
        ("rejection-focused", True, False),
        ("term-only", False, False),
        ("hard-negative", True, True),
    ],
)
def test_combinations_switch_what_the_document_says(name: str, no_term: bool, mined: bool) -> None:
    """The table of the document: no-term rows and hard negatives on or off."""
    config = preset(name)
    assert (config.data.no_term, config.hard_negatives is not None) == (no_term, mined)


def test_the_rejection_focused_preset_really_differs() -> None:
    """More rows without a term and a larger weight of their margin than the standard one."""
    focused, standard = preset("rejection-focused"), preset("standard")
    assert focused.data.no_term_share > standard.data.no_term_share
    assert focused.losses.no_term > standard.losses.no_term
    assert focused.losses.no_term_margin < standard.losses.no_term_margin


def test_single_slice_and_full_runs_have_names_of_their_own() -> None:
    """Choosing a slice changes what is read and where checkpoints go, and back."""
    single = configured("standard", {"single_slice": True})
    assert single.run.save_path == Path("data/qwen2_audio_term_level_single.pt")
    assert single.data.train == (Path("data/samples/xl"),)
    full = configured("debug", {"single_slice": False})
    assert full.run.save_path == Path("data/qwen2_audio_term_level_full.pt")
    assert full.data.train == (Path("data/xl_term_level_chunks_merged.json"),)
    mine = configured("standard", {"single_slice": True, "save_path": Path("m.pt"), "train": (Path("t.json"),)})
    assert (mine.run.save_path, mine.data.train) == (Path("m.pt"), (Path("t.json"),))


def test_rows_of_ones_own_do_not_meet_the_documents_test_rows() -> None:
    """With --train the test rows and the glossary are to be named too."""
    config = configured("standard", {"train": (Path("t.json"),), "glossary": Path("g.json")})
    assert (config.data.test, config.data.aliases, config.data.glossary) == (None, None, Path("g.json"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("custom-model", {}, "--model-name"),
        ("standard", {"hard_neg_source": "used"}, "add --hard-neg"),
        ("standard", {"lora": False, "lora_rank": 4}, "add --lora"),
        ("standard", {"micro_batch": 64, "batch_size": 32}, "--micro-batch 64 is more than --batch-size 32"),
        ("high-performance", {"train": (Path("t.json"),)}, "needs --glossary"),
        ("production", {"train": (Path("t.json"),)}, "add --glossary"),
        ("adapt", {"head_width": 128}, "--head-width is that of the model folder 'bundled'"),
    ],
)
def test_contradictions_are_refused(name: str, options: dict[str, object], message: str) -> None:
    """The sentence names the option that is missing or wrong."""
    with pytest.raises(SettingError, match=message):
        configured(name, options)


def test_options_reach_their_settings() -> None:
    """Hard negatives, adapters, layers, precision and evaluation."""
    config = configured(
        "standard",
        {
            "hard_neg": True,
            "hard_neg_source": "glossary",
            "lora_rank": 4,
            "unfreeze_layers": "all",
            "full_eval": True,
            "fresh": True,
            "batch_size": 8,
        },
    )
    assert config.hard_negatives is not None
    assert config.hard_negatives.source == "glossary"
    assert config.model.lora is not None
    assert (config.model.lora.rank, config.model.lora.alpha, config.model.unfreeze_layers) == (4, 8, None)
    assert (config.run.full_eval_every, config.run.resume, config.run.batch_size) == (1, False, 8)
    assert configured("standard", {"unfreeze_layers": 2}).model.unfreeze_layers == 2
    assert configured("production", {"full_eval": False}).run.full_eval_every == 0
    assert configured("standard", {"lora": False}).model.lora is None
    assert configured("hard-negative", {"hard_neg": False}).hard_negatives is None


def test_missing_files_are_named_with_their_option(tmp_path: Path) -> None:
    """Before any model is loaded."""
    with pytest.raises(SettingError, match=r"no training rows.*--train"):
        check_files(preset("tiny"))
    (tmp_path / "t.json").write_text("[]")
    config = configured("tiny", {"train": (tmp_path / "t.json",), "glossary": tmp_path / "g.json"})
    with pytest.raises(SettingError, match=r"g.json does not exist; give another to --glossary"):
        check_files(config)
