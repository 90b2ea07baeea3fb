/** The line of controls: what is heard, from which device, into which languages, and how loud it is. */
import { listMicrophones } from "../client.js";
import { languageName } from "./booth_view.js";

const at = (id) => document.getElementById(id);

export class Controls {
  constructor() {
    for (const list of document.querySelectorAll("#controls select")) {
      let isPointed = false;
      list.addEventListener("pointerdown", () => { isPointed = true; });
      list.addEventListener("keydown", () => { isPointed = false; });
      // A list that was pointed at lets the keys go again: m and p are the board's, and a list would jump by them.
      list.addEventListener("change", () => { if (isPointed) list.blur(); });
    }
    navigator.mediaDevices?.addEventListener("devicechange", () => { if (!at("device").closest("label").hidden) this.#listDevices(); });
  }

  /** Show what can be chosen for this source; while somebody is heard only what may change then. */
  show(isListening) {
    const kind = at("source").value, isAtRest = !isListening;
    const shows = {
      "at-rest": isAtRest, "for-microphone": isAtRest && kind === "microphone", "for-file": isAtRest && kind === "file",
      "for-recording": isAtRest && (kind === "file" || kind.startsWith("recording:")),
    };
    for (const [name, isShown] of Object.entries(shows)) {
      for (const label of document.querySelectorAll(`#controls .${name}`)) label.hidden = !isShown;
    }
    if (isAtRest && kind === "microphone" && globalThis.isSecureContext) this.#listDevices();
  }

  /** Show the field for the key while it is not known; once it is, the room is needed for other things. */
  askKey(isAsked, key = "") {
    for (const label of document.querySelectorAll(".for-key")) label.hidden = !isAsked;
    at("key").value = key;
  }

  /** The languages of the columns, one or two. */
  get languages() {
    const [first, second] = [at("lang-first").value, at("lang-second").value];
    return second !== "none" && second !== first ? [first, second] : [first];
  }

  /** Offer the languages of a glossary; what was chosen stays chosen where it has that too. */
  offerLanguages(langs, wished) {
    const options = (first) => [...first, ...langs.map((lang) => new Option(languageName(lang), lang))];
    const before = [at("lang-first").value, at("lang-second").value];
    at("lang-first").replaceChildren(...options(langs.length === 0 ? [new Option("–", "")] : []));
    at("lang-second").replaceChildren(...options([new Option("no other", "none")]));
    at("lang-first").value = [before[0], wished[0], langs[0] ?? ""].find((lang) => langs.includes(lang)) ?? "";
    at("lang-second").value = [before[1], wished[1]].find((lang) => langs.includes(lang)) ?? "none";
  }

  /** Show a level, 0..1, in decibels: -60 is nothing, 0 is as loud as it can be. */
  showLevel(level) {
    const shown = level > 0 ? Math.max(0, Math.min(100, 100 + 20 * Math.log10(level) / 0.6)) : 0;
    at("level").firstElementChild.style.width = `${shown}%`;
    at("level").setAttribute("aria-valuenow", String(Math.round(shown)));
  }

  async #listDevices() {
    const chosen = at("device").value;
    // Who may not be asked has none to choose from.
    const devices = (await listMicrophones().catch(() => [])).filter(({ deviceId }) => deviceId && deviceId !== "default");
    at("device").replaceChildren(new Option("the usual one", ""),
      ...devices.map(({ deviceId, label }, number) => new Option(label || `Microphone ${number + 1}`, deviceId)));
    at("device").value = devices.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
  }
}
