/** The board on the page: eight rows that never move, their buttons, the keys, the size of the letters. */

import { fit } from "./fitting.js";
import { memory } from "./memory.js";

const SIZES = [0.6, 0.7, 0.85, 1, 1.2, 1.4, 1.7, 2];
const USUAL_SIZE = 3;
const ACTIONS = [
  ["right", "✓", "Right", "r"], ["wrong", "✗", "Wrong", "w"], ["pin", "pin", "Pin", "p"], ["mute", "mute", "Mute", "m"],
];
const LANGUAGES = typeof Intl.DisplayNames === "function" ? new Intl.DisplayNames(["en"], { type: "language" }) : null;

/** The name of a language code in English; the code where it has none. */
export function languageName(code) {
  try {
    return code === "" ? "Translation" : LANGUAGES?.of(code) ?? code;
  } catch {
    return code;
  }
}

export class BoothView {
  /**
   * @param {Board} board what is shown
   * @param {(name: string, entryId?: string) => void} act told of "mute", "pin", "undo", "right", "wrong"
   */
  constructor(board, act) {
    Object.assign(this, { board, act, langs: [""], kept: memory("localStorage"), pressed: null, listed: null });
    const size = Number(this.kept.get("termcue-size") ?? USUAL_SIZE);
    this.size = Number.isInteger(size) ? size : USUAL_SIZE;
    this.booth = document.getElementById("booth");
    this.rows = Array.from({ length: board.most }, () => this.#makeRow());
    document.getElementById("board").replaceChildren(...this.rows.map(({ element }) => element));
    document.getElementById("larger").addEventListener("click", () => this.resize(1));
    document.getElementById("smaller").addEventListener("click", () => this.resize(-1));
    document.getElementById("undo").addEventListener("click", () => this.act("undo"));
    document.getElementById("full").addEventListener("click", () => this.fullScreen());
    // A phone may have none.
    document.getElementById("full").hidden = !document.fullscreenEnabled;
    document.addEventListener("keydown", (event) => this.#key(event));
    document.getElementById("history").closest("details").addEventListener("toggle", () => this.#drawHistory());
    this.resize(0);
  }

  /** Which languages the columns show, at most two. */
  setLanguages(langs) {
    this.langs = langs;
    this.booth.classList.toggle("two", langs.length > 1);
    document.getElementById("head-first").textContent = languageName(langs[0] ?? "");
    document.getElementById("head-second").textContent = langs.length > 1 ? languageName(langs[1]) : "";
  }

  resize(step) {
    this.size = Math.max(0, Math.min(SIZES.length - 1, this.size + step));
    this.kept.set("termcue-size", String(this.size));
    this.booth.style.setProperty("--size", String(SIZES[this.size]));
    if (step !== 0) this.act("resized");
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (document.fullscreenEnabled) document.getElementById("termcue").requestFullscreen().catch(() => {});
  }

  draw(nowS) {
    const shown = this.board.shown(nowS);
    const firstPinned = shown.findIndex((row) => row.isPinned);
    this.rows.forEach((parts, place) => {
      this.#fill(parts, shown[place], place === firstPinned);
      if (shown[place]) for (const cell of [parts.term, parts.first, parts.second]) fit(cell);
    });
    document.getElementById("history-count").textContent = `(${this.board.history.length})`;
    this.#drawHistory();
    document.getElementById("muted").textContent = this.board.muted.size === 0 ? "No term is muted."
      : `Muted: ${[...this.board.muted.values()].join(", ")}. u takes the last one back.`;
  }

  #makeRow() {
    const element = document.createElement("div");
    element.className = "row empty";
    element.setAttribute("role", "listitem");
    const parts = { element, entryId: null };
    for (const name of ["sign", "term", "first", "second", "acts"]) {
      parts[name] = Object.assign(document.createElement("span"), { className: `c-${name}` });
      if (["term", "first", "second"].includes(name)) parts[name].dir = "auto";
      element.append(parts[name]);
    }
    for (const [name, sign, title, key] of ACTIONS) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: sign, title: `${title} (${key})` });
      button.dataset.act = name;
      button.addEventListener("click", () => {
        // What was pressed is what was there when the finger came down, though a new term has moved it since.
        this.act(name, this.pressed ?? parts.entryId);
        this.pressed = null;
      });
      parts.acts.append(button);
    }
    element.addEventListener("pointerdown", () => { this.pressed = parts.entryId; });
    element.addEventListener("click", (event) => {
      if (event.target.closest("button")) return;
      this.board.chosen = this.pressed ?? parts.entryId;
      this.pressed = null;
      this.act("chosen");
    });
    return parts;
  }

  #fill(parts, row, isFirstPinned) {
    const { element } = parts;
    // What stands there already is left alone, so that it can be marked and copied.
    const shown = JSON.stringify([row, this.langs, isFirstPinned]);
    if (shown === parts.shown) return;
    parts.shown = shown;
    parts.entryId = row?.entryId ?? null;
    element.className = row ? `row ${row.band.name}` : "row empty";
    element.toggleAttribute("aria-hidden", !row);
    parts.acts.hidden = !row;
    for (const [name, on] of [["old", row?.isOld], ["chosen", row?.isChosen], ["pinned", row?.isPinned], ["first-pinned", isFirstPinned]]) {
      element.classList.toggle(name, Boolean(on));
    }
    parts.sign.textContent = row?.band.sign ?? "";
    parts.sign.title = row ? `${row.band.name}: ${Math.round(row.score * 100)} %` : "";
    if (row) parts.sign.setAttribute("aria-label", parts.sign.title); else parts.sign.removeAttribute("aria-label");
    parts.term.replaceChildren(row?.term ?? "");
    if (row?.count > 1) parts.term.append(Object.assign(document.createElement("b"), { className: "count", textContent: ` ×${row.count}` }));
    // Full screen hides the buttons, and who pressed a key wants to see that it was taken.
    if (row?.verdict) parts.term.append(Object.assign(document.createElement("b"), { className: "count", textContent: row.verdict === "right" ? " ✓" : " ✗" }));
    parts.first.textContent = row ? row.translations[this.langs[0]] ?? "–" : "";
    parts.second.textContent = row && this.langs.length > 1 ? row.translations[this.langs[1]] ?? "–" : "";
    // The whole text, where three lines cannot hold it.
    for (const cell of [parts.first, parts.second]) cell.title = cell.textContent;
    parts.first.lang = this.langs[0] ?? "";
    parts.second.lang = this.langs[1] ?? "";
    for (const button of parts.acts.children) {
      const name = button.dataset.act;
      const isOn = row && (name === "pin" ? row.isPinned : row.verdict === name);
      button.setAttribute("aria-pressed", String(Boolean(isOn)));
      if (row) button.setAttribute("aria-label", `${button.title}: ${row.term}`);
    }
  }

  #drawHistory() {
    const list = document.getElementById("history");
    if (!list.closest("details").open) return;
    const newest = this.board.history[0], listed = [newest, this.langs, this.board.history.length];
    if (this.listed?.every((each, at) => each === listed[at])) return;
    this.listed = listed;
    list.replaceChildren(...this.board.history.slice(0, 200).map((hint) => {
      const item = document.createElement("li");
      const minutes = Math.floor(hint.atS / 60), seconds = String(Math.floor(hint.atS % 60)).padStart(2, "0");
      // Each text in a direction of its own, whatever stands in it.
      const own = (text) => Object.assign(document.createElement("bdi"), { textContent: text });
      const shown = this.langs.flatMap((lang, at) => [at === 0 ? " → " : " · ", own(hint.translations[lang] ?? "–")]);
      item.append(`${minutes}:${seconds}  `, own(hint.term), ...shown, hint.isLate ? "  (came late)" : "");
      return item;
    }));
  }

  #key(event) {
    const isTyping = event.target.closest?.("input:not([type=checkbox]):not([type=range]), select, textarea, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.getElementById("view-live").hidden) return;
    const act = { m: "mute", p: "pin", u: "undo", r: "right", w: "wrong" }[event.key.toLowerCase()];
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (act && !event.repeat) this.act(act);
    else if (event.key.toLowerCase() === "f" && !event.repeat) this.fullScreen();
    else if (event.key === "+" || event.key === "=") this.resize(1);
    else if (event.key === "-" || event.key === "−") this.resize(-1);
    else if (event.key in steps && this.board.rows.length > 0) { this.board.move(steps[event.key]); this.act("chosen"); }
    else if (event.key === "Escape") { this.board.release(); this.act("chosen"); }
    else return;
    event.preventDefault();
  }
}
