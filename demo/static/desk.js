/** What the page asks of the servers over plain HTTP: glossaries to pick, read and publish. */

import { langOf } from "./glossary_table.js";

export class DeskError extends Error {}

export class Desk {
  constructor() {
    // A key in the fragment never leaves the browser; it is taken off the address so that nobody reads it over a shoulder.
    const shown = new URLSearchParams(location.hash.slice(1)).get("key");
    if (shown) {
      sessionStorage.setItem("termcue-key", shown);
      history.replaceState(null, "", location.pathname + location.search);
    }
    this.key = sessionStorage.getItem("termcue-key") ?? "";
    this.setup = null;
  }

  setKey(key) {
    this.key = key.trim();
    sessionStorage.setItem("termcue-key", this.key);
  }

  /** What the page is told when it opens. */
  async open() {
    this.setup = await this.#ask("desk/setup");
    return this.setup;
  }

  /** Where hints come from: ws:// or wss://. */
  get streamAddress() {
    return (this.setup.server || location.origin).replace(/^http/, "ws");
  }

  /** A token for one connection; null where the server asks for none. */
  async token() {
    if (!this.setup.needs_key) return null;
    return (await this.#ask(`${this.setup.server}/v1/tokens`, { method: "POST" })).token;
  }

  /** [{id, version, terms, target_langs}] of all that is served. */
  async glossaries() {
    return (await this.#ask(`${this.setup.server}/v1/glossaries`)).glossaries;
  }

  /** {id, version, table, dial} of one. */
  read(id) {
    return this.#ask(`desk/glossaries/${encodeURIComponent(id)}`);
  }

  /** Publish a file under an id: what became of it. */
  publish(id, fileName, content) {
    const address = `desk/glossaries/${encodeURIComponent(id)}?file=${encodeURIComponent(fileName)}`;
    return this.#ask(address, { method: "POST", body: content });
  }

  /** The bytes of a bundled recording. */
  async recording(name) {
    const answer = await fetch(`desk/recordings/${encodeURIComponent(name)}`);
    if (!answer.ok) throw new DeskError(`The recording cannot be had (${answer.status}).`);
    return answer.arrayBuffer();
  }

  async #ask(address, options = {}) {
    const headers = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    let answer;
    try {
      answer = await fetch(address, { ...options, headers });
    } catch (error) {
      throw new DeskError("The server does not answer: is it still running?", { cause: error });
    }
    if (answer.status === 401) {
      throw new DeskError(this.key ? "This key is not known here: type another one into the field Key."
        : "This server asks for a key: type it into the field Key.");
    }
    const content = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new DeskError(content.message ?? `The server answered ${answer.status}.`);
    return content;
  }
}

/** The translations of a glossary by entry, for the second column. Pure. */
export class Lexicon {
  /** @param {{columns: string[], rows: object[]}} table as `tableOf` gives it */
  constructor({ columns, rows } = { columns: [], rows: [] }) {
    const named = columns.map((column) => [column, langOf(column)]).filter(([, lang]) => lang !== null);
    this.entries = new Map(rows.map((row) => [row.id, Object.fromEntries(
      named.filter(([column]) => row[column]).map(([column, lang]) => [lang, row[column]]))]));
  }

  /** All translations of a hint's entry; `lang` is the language of the one that the hint brings itself. */
  of(hint, lang) {
    const known = this.entries.get(hint.entry_id) ?? {};
    return hint.translation ? { ...known, [lang]: hint.translation } : known;
  }
}
