/** The judged hints of the page, kept with their sound until they are downloaded. */
import { save } from "./downloads.js";
import { trainingRow, wavOf, zipOf } from "./judged.js";
import { at16k } from "./sound.js";

const at = (id) => document.getElementById(id);

export class TrainingRows {
  constructor() {
    Object.assign(this, { judged: new Map(), session: "session" });
    at("export-training").addEventListener("click", () => this.#exportAll());
    at("export-rows").addEventListener("click", async () => {
      save(`${this.session}-rows.jsonl`, "application/x-ndjson", (await this.#made()).lines);
    });
  }

  /** Another session: what was judged before is forgotten. */
  begin(session) {
    this.judged.clear();
    this.session = session;
  }

  /** A judgement is undone; `before` is the one that stood there, null for none. */
  takeBack(hintId, before) {
    if (before === null) this.judged.delete(hintId);
    else if (this.judged.has(hintId)) this.judged.get(hintId).verdict = before;
  }

  get counts() {
    const count = (verdict) => [...this.judged.values()].filter((each) => each.verdict === verdict).length;
    return { right: count("right"), wrong: count("wrong") };
  }

  draw() {
    const { right, wrong } = this.counts;
    at("judged").textContent = right + wrong === 0 ? "No hint was judged." : `Judged: ${right} right, ${wrong} wrong.`;
    for (const id of ["export-training", "export-rows"]) at(id).disabled = right + wrong === 0;
  }

  async #made() {
    const clips = {}, rows = [];
    for (const { hint, verdict, samples, sampleRate, startS } of this.judged.values()) {
      const sound = await at16k(samples, sampleRate);
      const path = `clips/${hint.hint_id}.wav`;
      clips[path] = wavOf(sound);
      rows.push(trainingRow({ hint, verdict, startS, samples: sound.length, path, session: this.session }));
    }
    return { clips, lines: rows.map((row) => `${JSON.stringify(row)}\n`).join("") };
  }

  async #exportAll() {
    const { clips, lines } = await this.#made();
    const files = { "rows.jsonl": new TextEncoder().encode(lines), ...clips };
    save(`${this.session}-training.zip`, "application/zip", zipOf(files));
  }
}
