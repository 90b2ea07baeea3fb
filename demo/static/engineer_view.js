/** What an engineer wants to see of a session: timeline, latency, counts, the dial, and the session as files. */
import { sayStop } from "./dial_words.js";
import { save, toCsv, toJsonl, toSrt, toVtt } from "./downloads.js";
import { drawTimeline, reasonShown, Waveform } from "./timeline.js";

const FORMS = {
  jsonl: ["application/x-ndjson", (log) => toJsonl([...log.messages, ...log.hints].sort((a, b) => a.seq - b.seq))],
  csv: ["text/csv", (log, langs) => toCsv(log.translated, langs)],
  srt: ["application/x-subrip", (log, langs) => toSrt(log.translated, langs)],
  vtt: ["text/vtt", (log, langs) => toVtt(log.translated, langs)],
};
const at = (id) => document.getElementById(id);

export class EngineerView {
  /** @param {(perHour: number) => Promise<void>} setFalseHints tells the running session */
  constructor(setFalseHints) {
    Object.assign(this, { setFalseHints, waveform: new Waveform(), log: null, stops: [], langs: [], name: "session" });
    for (const button of document.querySelectorAll("[data-download]")) {
      button.addEventListener("click", () => {
        const [type, written] = FORMS[button.dataset.download];
        save(`${this.name}.${button.dataset.download}`, type, written(this.log, this.langs));
      });
    }
    at("dial").addEventListener("input", () => { at("dial").dataset.touched = "yes"; this.#saySetting(); });
    at("dial").addEventListener("change", () => this.setFalseHints(this.chosen.per_hour));
  }

  /** Another session is shown from here on. */
  begin(log, name) {
    Object.assign(this, { log, name, waveform: new Waveform() });
    for (const button of document.querySelectorAll("[data-download]")) button.disabled = false;
  }

  /** Which languages are shown, and written to files; the first is the one that hints bring themselves. */
  setLanguages(langs) {
    this.langs = langs;
  }

  /** What the dial can be set to for the glossary in use: [{per_hour, threshold, recall, terms}], fewest false hints first. */
  setStops(stops) {
    this.stops = stops;
    Object.assign(at("dial"), { disabled: stops.length === 0, max: String(Math.max(0, stops.length - 1)) });
    if (stops.length === 0) at("dial-says").textContent = "This server's false hints are not known here.";
  }

  get chosen() {
    return this.stops[Number(at("dial").value)];
  }

  /** Let the dial follow what the server decides by: so many false hints an hour, or a threshold. */
  follow({ threshold, false_hints_per_hour: perHour }) {
    if (this.stops.length === 0 || document.activeElement === at("dial")) return;
    const away = (stop) => perHour === undefined ? Math.abs(stop.threshold - threshold) : Math.abs(stop.per_hour - perHour);
    const nearest = this.stops.reduce((best, stop, index) => away(stop) < away(this.stops[best]) ? index : best, 0);
    at("dial").value = String(nearest);
    this.#saySetting();
  }

  #saySetting() {
    at("dial-says").textContent = sayStop(this.chosen);
    at("dial").setAttribute("aria-valuetext", `${this.chosen.per_hour} an hour`);
  }

  /** Draw all of it, where it is seen. */
  draw(nowS, threshold) {
    if (at("view-engineer").hidden || this.log === null) return;
    drawTimeline(at("timeline"), { waveform: this.waveform, log: this.log, nowS, threshold });
    at("reasons").replaceChildren(...[...this.log.abstentions.keys()].map((reason) => {
      const shown = Object.assign(document.createElement("span"), { className: "k muted-reason", textContent: reason.replaceAll("_", " ") });
      shown.style.setProperty("--tc-reason", `var(--tc-${reasonShown(reason)[0]})`);
      return shown;
    }));
    const bins = this.log.histogram();
    const most = Math.max(1, ...bins.map(({ count }) => count));
    at("latency").replaceChildren(...bins.map(({ label, count }) => {
      const bin = document.createElement("div");
      const name = Object.assign(document.createElement("span"), { textContent: label });
      const bar = document.createElement("i");
      bar.style.width = `${count / most * 100}%`;
      const track = document.createElement("span");
      track.append(bar);
      bin.append(name, track, Object.assign(document.createElement("b"), { textContent: String(count) }));
      return bin;
    }));
    const [median, high] = [this.log.percentile(0.5), this.log.percentile(0.95)];
    at("latency-says").textContent = median === null ? "No hint so far."
      : `From the end of a term to its hint: half within ${(median / 1000).toFixed(2)} s, 95 % within ${(high / 1000).toFixed(2)} s.`;
    at("counts").replaceChildren(...this.log.counts().map(([name, value]) => {
      const row = document.createElement("tr");
      const heading = Object.assign(document.createElement("th"), { textContent: name, scope: "row" });
      row.append(heading, Object.assign(document.createElement("td"), { textContent: String(value) }));
      return row;
    }));
    at("messages").replaceChildren(...this.log.messages.slice(-12).reverse().map((message) =>
      Object.assign(document.createElement("li"), { textContent: told(message) })));
  }
}

function told({ type, ...fields }) {
  const shown = Object.entries(fields).filter(([name, value]) => name !== "seq" && typeof value !== "object" && !/token/.test(name));
  return `${type}  ${shown.map(([name, value]) => `${name} ${typeof value === "number" ? Number(value.toFixed(3)) : value}`).join(" · ")}`;
}
