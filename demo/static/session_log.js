/** What a session said, for the engineer's view and the downloads. Pure, and bounded however long it lasts. */

const MOST_HINTS = 20000;
const MOST_MARKS = 400;
const BINS_MS = [200, 400, 600, 800, 1000, 1500, 2000, 3000, Infinity];

export class SessionLog {
  constructor() {
    Object.assign(this, { hints: [], marks: [], speech: [], messages: [], retracted: 0, dropped: 0 });
    Object.assign(this, { abstentions: new Map(), translations: new Map(), terms: new Map(), latencies: [], bins: BINS_MS.map(() => 0) });
    Object.assign(this, { warnings: 0, reconnections: 0, lostS: 0, verdicts: { right: 0, wrong: 0 }, version: "", lagS: 0 });
  }

  /** Take note of a message of the server; of a hint, `translations` is {lang: text} of all that are known. */
  take(message, translations = {}) {
    switch (message.type) {
      case "TermHint": this.#hint(message, translations); break;
      case "HintRetracted": this.retracted += 1; break;
      case "Abstain":
        this.abstentions.set(message.reason, (this.abstentions.get(message.reason) ?? 0) + 1);
        this.#keep(this.marks, message, MOST_MARKS);
        break;
      case "SpeechStarted": this.#keep(this.speech, { start: message.timestamp, end: null }, MOST_MARKS); break;
      case "SpeechEnded": if (this.speech.length > 0) this.speech.at(-1).end = message.timestamp; break;
      case "GlossaryUpdated": this.version = message.to; break;
      case "Begin": this.version = message.glossary.version; break;
      case "Lag": Object.assign(this, { dropped: message.dropped_windows, lagS: message.lag_s }); break;
      case "Warning": this.warnings += 1; break;
    }
    if (message.type !== "Abstain" && message.type !== "TermHint") this.#keep(this.messages, message, MOST_MARKS);
  }

  /** The hints, each with its `translations`. */
  get translated() {
    return this.hints.map((hint) => ({ ...hint, translations: this.translations.get(hint.hint_id) }));
  }

  #hint(message, translations) {
    if (!message.is_final) return;
    this.translations.set(message.hint_id, translations);
    if (this.translations.size > MOST_HINTS) this.translations.delete(this.translations.keys().next().value);
    this.#keep(this.hints, message, MOST_HINTS);
    this.terms.set(message.term, (this.terms.get(message.term) ?? 0) + 1);
    const latency = message.latency_ms.since_term_end;
    this.latencies.push(latency);
    if (this.latencies.length > MOST_HINTS) this.latencies.shift();
    this.bins[BINS_MS.findIndex((bound) => latency < bound)] += 1;
  }

  #keep(list, item, most) {
    list.push(item);
    if (list.length > most) list.shift();
  }

  /** The histogram as [{label, count}]. */
  histogram() {
    return this.bins.map((count, at) => ({
      count, label: BINS_MS[at] === Infinity ? `${BINS_MS[at - 1] / 1000} s +` : `< ${BINS_MS[at] / 1000} s`,
    }));
  }

  /** The latency, ms, under which that share of the hints came; null without hints. */
  percentile(share) {
    if (this.latencies.length === 0) return null;
    const sorted = [...this.latencies].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  }

  /** The running counts as [name, value] rows. */
  counts() {
    const abstained = [...this.abstentions].sort((a, b) => b[1] - a[1]);
    return [
      ["Hints", this.hints.length], ["Different terms", this.terms.size], ["Withdrawn", this.retracted],
      ...abstained.map(([reason, count]) => [`No hint: ${reason.replaceAll("_", " ")}`, count]),
      ["Judged right", this.verdicts.right], ["Judged wrong", this.verdicts.wrong],
      ["Windows left out", this.dropped], ["Behind, seconds", this.lagS.toFixed(1)], ["Warnings", this.warnings],
      ["Connections made again", this.reconnections], ["Seconds of sound lost", this.lostS.toFixed(1)],
      ["Glossary version", this.version || "–"],
    ];
  }
}
