/** The judged hints of the page with their sound, of all its sessions, until it is left. */
import { save } from "./downloads.js";
import { trainingRow, wavOf, zipOf } from "./judged.js";
import { at16k } from "./sound.js";

// Each has a few seconds of sound: together about 60 MB.
const MOST_KEPT = 200;
const at = (id) => document.getElementById(id);

export class TrainingRows {
  constructor() {
    Object.assign(this, { judged: new Map(), session: "session", earlier: [], isSaved: true });
    at("export-training").addEventListener("click", () => this.#exportAll());
    at("export-rows").addEventListener("click", async () => {
      save(`${this.session}-rows.jsonl`, "application/x-ndjson", (await this.#made()).lines);
    });
  }

  /** Another session; what was judged before is kept beside it, of the oldest not more than there is room for. */
  begin(session) {
    this.earlier = this.#all.slice(-MOST_KEPT);
    Object.assign(this, { judged: new Map(), session });
  }

  /** Every judged hint with the session in which it was given. */
  get #all() {
    return [...this.earlier, ...[...this.judged.values()].map((each) => ({ ...each, session: this.session }))];
  }

  /** Whether anything was judged that is not in a file yet. */
  get isUnsaved() {
    return !this.isSaved && this.#all.length > 0;
  }

  /** A judgement is undone; `before` is the one that stood there, null for none. */
  takeBack(hintId, before) {
    if (before === null) this.judged.delete(hintId);
    else if (this.judged.has(hintId)) this.judged.get(hintId).verdict = before;
  }

  /** How many hints of the session were judged right, and wrong. */
  get counts() {
    return counted([...this.judged.values()]);
  }

  draw() {
    const { right, wrong } = counted(this.#all);
    at("judged").textContent = right + wrong === 0 ? "No hint was judged." : `Judged: ${right} right, ${wrong} wrong.`;
    for (const id of ["export-training", "export-rows"]) at(id).disabled = right + wrong === 0;
  }

  async #made() {
    const clips = {}, rows = [];
    for (const { hint, verdict, samples, sampleRate, startS, session } of this.#all) {
      const sound = await at16k(samples, sampleRate);
      const path = `clips/${session}-${hint.hint_id}.wav`;
      clips[path] = wavOf(sound);
      rows.push(trainingRow({ hint, verdict, startS, samples: sound.length, path, session }));
    }
    this.isSaved = true;
    return { clips, lines: rows.map((row) => `${JSON.stringify(row)}\n`).join("") };
  }

  async #exportAll() {
    const { clips, lines } = await this.#made();
    const files = { "rows.jsonl": new TextEncoder().encode(lines), ...clips };
    save(`${this.session}-training.zip`, "application/zip", zipOf(files));
  }
}

function counted(judged) {
  const count = (verdict) => judged.filter((each) => each.verdict === verdict).length;
  return { right: count("right"), wrong: count("wrong") };
}
