"""The booth view with translations that are longer than their cell, in a real browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

OpenPage = Callable[[], Page]
LONG = "Einspeisevergütung für Strom aus erneuerbaren Energien"
SHOWN = """async ([text, count]) => {
  const [{ Board }, { BoothView }] = await Promise.all([import("./page/board.js"), import("./page/booth_view.js")]);
  const board = new Board(), view = new BoothView(board, () => {});
  view.setLanguages(["de", "es"]);
  for (let number = 0; number < count; number += 1) {
    const hint = { entry_id: `e${number}`, hint_id: `h${number}`, is_final: true, term: "feed-in tariff", start: 0, score: 1 };
    board.hint(hint, { de: text, es: "tarifa" }, 0);
  }
  view.draw(0);
  const cell = document.querySelector("#board .row .c-first"), row = cell.parentElement;
  const lines = cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight);
  return { title: cell.title, lines, isCut: cell.scrollHeight > cell.clientHeight + 1,
    isInRow: cell.clientHeight <= row.clientHeight, size: parseFloat(getComputedStyle(cell).fontSize) };
}"""


@pytest.mark.parametrize(("text", "most"), [("Muße", 1), ("Erneuerbare-Energien-Gesetz von 2023", 2), (LONG, 3)])
def test_a_long_translation_is_seen_whole(open_page: OpenPage, screenshots: Path, text: str, most: int) -> None:
    """It takes more lines and smaller letters rather than an ellipsis, stays in its row, and is a tooltip too."""
    page = open_page()
    shown = page.evaluate(SHOWN, [text, 8])
    page.screenshot(path=screenshots / f"long-{most}.png")
    assert shown["title"] == text
    assert not shown["isCut"]
    assert shown["isInRow"]
    assert round(shown["lines"]) <= most
    assert shown["size"] >= 16
