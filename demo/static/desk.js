/** What the page asks of the servers over plain HTTP: glossaries to pick, read and publish. */

import { langOf } from "./glossary_table.js";
import { memory } from "./memory.js";

const KEY = "termcue-key";

export class DeskError extends Error {}

export class Desk {
  constructor() {
    this.kept = memory("sessionStorage");
    this.key = this.kept.get(KEY) ?? "";
    this.setup = null;
    this.takeKey();
  }

  /** Take the key out of the fragment of the address: whether there was one. */
  takeKey() {
    // A fragment never leaves the browser; it is taken off so that nobody reads the key over a shoulder.
    const shown = new URLSearchParams(location.hash.slice(1)).get("key");
    if (!shown) return false;
    this.setKey(shown);
    history.replaceState(null, "", location.pathname + location.search);
    return true;
  }

  setKey(key) {
    this.key = key.trim();
    this.kept.set(KEY, this.key);
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

  /** Publish a file under an id: what became of it. Refused where it was made of another version than the last. */
  publish(id, fileName, content, madeOf = "") {
    const query = new URLSearchParams({ file: fileName, made_of: madeOf });
    return this.#ask(`desk/glossaries/${encodeURIComponent(id)}?${query}`, { method: "POST", body: content });
  }

  /** Have a server elsewhere look for a new version at once; it may not serve that glossary at all. */
  async reload(id) {
    await this.#ask(`${this.setup.server}/v1/glossaries/${encodeURIComponent(id)}:reload`, { method: "POST" }).catch(() => {});
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
      const isElsewhere = this.setup?.server && address.startsWith(this.setup.server);
      throw new DeskError(isElsewhere ? `${this.setup.server} does not answer this page: is it running, and was it started with `
        + `--allow-origin ${location.origin}?` : "The server does not answer: is it still running?", { cause: error });
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
