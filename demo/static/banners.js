/** Plain words about what is wrong, above everything else, each until it is over. */

const SIGNS = { error: "✖", warning: "⚠", good: "✔", note: "ℹ" };

/** What is to be said, by name; a later one of the same name takes its place. Pure. */
export class Notices {
  constructor() {
    this.said = new Map();
  }

  /** Whether that changes anything. */
  say(name, kind, text) {
    const known = this.said.get(name);
    if (known?.kind === kind && known.text === text) return false;
    this.said.set(name, { name, kind, text });
    return true;
  }

  /** Whether it was there. */
  clear(name) {
    return this.said.delete(name);
  }

  /** Errors first, in the order in which they came. */
  get all() {
    const order = Object.keys(SIGNS);
    return [...this.said.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  }
}

/**
 * What should be said of sound that has come, or not. Pure.
 * @param {{sinceSpeechS: number, loudest: number, isSpeaking: boolean, isRecording: boolean}} heard seconds without speech,
 *   the highest level meanwhile, and whether it is a recording
 */
export function silenceNotice({ sinceSpeechS, loudest, isSpeaking, isRecording }) {
  if (isSpeaking || sinceSpeechS < 10) return null;
  const isSilent = loudest < 0.0005;
  const came = isSilent ? "Nothing but silence has come for 10 seconds" : "No speech for 10 seconds, though sound comes in";
  if (isRecording) {
    const guess = isSilent ? "do its channels cancel each other" : "is it too soft";
    return `${came}. If somebody speaks in this recording, ${guess}, or is the speech in another track?`;
  }
  return isSilent ? `${came}: is the microphone muted, or another one chosen?`
    : `${came}. If somebody speaks, choose another device or move closer.`;
}

/** The notices as a part of the page. */
export class Banners {
  constructor(element) {
    this.element = element;
    this.notices = new Notices();
    this.timers = new Map();
  }

  /** Say something, for `forS` seconds if given. Errors can be put away by hand. */
  say(name, kind, text, forS) {
    clearTimeout(this.timers.get(name));
    if (forS) this.timers.set(name, setTimeout(() => this.clear(name), forS * 1000));
    if (this.notices.say(name, kind, text)) this.#draw();
  }

  clear(name) {
    clearTimeout(this.timers.get(name));
    if (this.notices.clear(name)) this.#draw();
  }

  #draw() {
    this.element.replaceChildren(...this.notices.all.map(({ name, kind, text }) => {
      const banner = document.createElement("div");
      banner.className = `banner ${kind}`;
      banner.dataset.name = name;
      banner.setAttribute("role", kind === "error" ? "alert" : "status");
      const sign = Object.assign(document.createElement("span"), { textContent: SIGNS[kind], className: "sign" });
      sign.setAttribute("aria-hidden", "true");
      const words = Object.assign(document.createElement("span"), { textContent: text });
      const away = Object.assign(document.createElement("button"), { type: "button", textContent: "✕" });
      away.setAttribute("aria-label", "Put this message away");
      away.addEventListener("click", () => this.clear(name));
      banner.append(sign, words, away);
      return banner;
    }));
  }
}
