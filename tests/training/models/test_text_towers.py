from pathlib import Path
from typing import TypeAlias

import pytest
import torch

from training.models.loading import load_encoder_lm, load_qwen2_audio, load_tokenizer
from training.models.text_towers import CharacterText, EncoderLmText, Qwen2LmText, spelled

AnyText: TypeAlias = CharacterText | Qwen2LmText | EncoderLmText
TEXTS = ["Kalman filter", "a", "", "Zürich 5G", "a much longer text about speech translation"]


@pytest.fixture(params=["characters", "qwen2-lm", "encoder"])
def tower(request: pytest.FixtureRequest, qwen_folder: Path, lm_folder: Path) -> AnyText:
    """Each text tower, in evaluation mode."""
    torch.manual_seed(3)
    if request.param == "characters":
        return CharacterText(16).eval()
    if request.param == "encoder":
        return EncoderLmText(load_encoder_lm(str(lm_folder)), load_tokenizer(str(lm_folder)), 16).eval()
    model = load_qwen2_audio(str(qwen_folder)).model.language_model
    return Qwen2LmText(model, load_tokenizer(str(qwen_folder)), 16).eval()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Poincaré map", ["poincare", "map"]),
        ("GPT-4o", ["gpt", "four", "o"]),
        ("don't", ["don't"]),
        ("神经网络", []),
        ("", []),
    ],
)
def test_words_are_spelled_in_the_alphabet(text: str, words: list[str]) -> None:
    """Accents are dropped, digits are read one by one, and what has no letters has no words."""
    assert spelled(text) == words


def test_a_text_has_one_unit_vector(tower: AnyText) -> None:
    """The vector of a text does not depend on its batch and has length 1, an empty text too."""
    with torch.no_grad():
        together = tower(tower.tokenise(TEXTS))
        assert (together.dtype, together.shape) == (torch.float32, (5, 16))
        torch.testing.assert_close(together.norm(dim=1), torch.ones(5))
        for row, text in enumerate(TEXTS):
            torch.testing.assert_close(together[row], tower(tower.tokenise([text]))[0], atol=1e-5, rtol=1e-4)


def test_tokens_are_padded_with_zeros_on_the_right(tower: AnyText) -> None:
    """Every input is int64 of one shape, and a short text ends in zeros."""
    tokens = tower.tokenise(TEXTS)
    assert {(value.dtype, value.shape[0]) for value in tokens.values()} == {(torch.int64, 5)}
    assert all(value[1, 0] and not value[1, -1] for value in tokens.values())


def test_long_texts_are_cut(tower: AnyText) -> None:
    """A text beyond 256 letters or tokens keeps its beginning."""
    tokens = tower.tokenise(["w x y z " * 200])
    assert {value.shape for value in tokens.values()} == {(1, 256)}
    tower(tokens)


def test_qwen2_text_is_the_projected_mean_of_the_last_layer(qwen_folder: Path) -> None:
    """By hand: run one text alone through the stock model, average the last layer over its tokens, project."""
    whole = load_qwen2_audio(str(qwen_folder))
    tower = Qwen2LmText(whole.model.language_model, load_tokenizer(str(qwen_folder)), 8).eval()
    ids = torch.tensor([tower.tokenizer("neural network")["input_ids"]])
    with torch.no_grad():
        hidden = whole(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        expected = torch.nn.functional.normalize(tower.projection(hidden[0].mean(0)), dim=0)
        torch.testing.assert_close(tower(tower.tokenise(["neural network", "an"]))[0], expected, atol=1e-5, rtol=1e-4)
