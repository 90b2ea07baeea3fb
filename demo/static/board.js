/**
 * The rows that an interpreter sees: hints in, at most eight rows out. Pure: no document, no clock of its own.
 *
 * The newest row stands first, pinned ones last, each in a place of its own. A term said again bumps its row and counter.
 */

const BANDS = [
  { least: 0.97, name: "sure", sign: "●●●" },
  { least: 0.85, name: "likely", sign: "●●○" },
  { least: 0, name: "unsure", sign: "●○○" },
];
const MOST_HISTORY = 500;
const MOST_UNDO = 50;

/** How sure a hint is, as {name, sign}; one that may still be withdrawn carries a question mark. */
export function bandOf(score, isFinal = true) {
  const band = BANDS.find(({ least }) => score >= least) ?? BANDS[BANDS.length - 1];
  return isFinal ? band : { name: "open", sign: "?" };
}

export class Board {
  /**
   * @param {{most?: number, mostPinned?: number, dimS?: number, leaveS?: number}} limits rows at a time, pinned among
   *   them; seconds after which a row is dimmed, and after which it leaves
   */
  constructor({ most = 8, mostPinned = 4, dimS = 20, leaveS = 90 } = {}) {
    Object.assign(this, { most, mostPinned, dimS, leaveS });
    this.rows = [];
    this.history = [];
    this.muted = new Map();
    this.chosen = null;
    this.undoable = [];
  }

  /** Take a hint; `translations` is {lang: text}. A late one goes to the history alone. */
  hint(message, translations, nowS, isLate = false) {
    if (this.muted.has(message.entry_id)) return;
    const known = this.rows.find((row) => row.entryId === message.entry_id);
    const isRevision = known?.hintIds.includes(message.hint_id) ?? false;
    if (message.is_final) {
      this.history.unshift({
        hintId: message.hint_id, term: message.term, translations, atS: message.start, score: message.score, isLate,
      });
      if (this.history.length > MOST_HISTORY) this.history.pop();
    }
    if (isLate) return;
    const row = known ?? { entryId: message.entry_id, hintIds: [], count: 0, isPinned: false, verdict: null };
    if (!isRevision) {
      row.count += 1;
      row.hintIds = [...row.hintIds, message.hint_id].slice(-20);
      row.verdict = null;
    }
    Object.assign(row, {
      term: message.term, translations, score: message.score, isFinal: message.is_final, atS: nowS,
    });
    if (!row.isPinned) this.rows = [row, ...this.rows.filter((each) => each !== row)];
    this.#makeRoom();
  }

  /** A hint that was not final is withdrawn. */
  retract(hintId) {
    const row = this.rows.find((each) => each.hintIds.includes(hintId));
    if (!row || row.isFinal) return;
    row.count -= 1;
    row.hintIds = row.hintIds.filter((each) => each !== hintId);
    row.isFinal = true;
    if (row.count === 0) this.#drop(row);
  }

  /** Let rows leave that nobody needs any more: whether one did. */
  tick(nowS) {
    const before = this.rows.length;
    this.rows = this.rows.filter((row) => row.isPinned || nowS - row.atS < this.leaveS);
    this.#keepChoice();
    return this.rows.length !== before;
  }

  /** What is shown, newest first and pinned last; `isOld` rows are dimmed. */
  shown(nowS) {
    const pinned = this.rows.filter((row) => row.isPinned);
    const others = this.rows.filter((row) => !row.isPinned);
    return [...others, ...pinned].map((row) => ({
      ...row, isOld: !row.isPinned && nowS - row.atS >= this.dimS, isChosen: row === this.target,
      band: bandOf(row.score, row.isFinal),
    }));
  }

  /** The row that keys act on: the chosen one, else the newest. */
  get target() {
    return this.rows.find((row) => row.entryId === this.chosen) ?? this.rows.find((row) => !row.isPinned) ?? this.rows[0];
  }

  /** Choose the next row (1) or the one before (-1) in the order shown. */
  move(step) {
    const order = this.shown(0);
    if (order.length === 0) return;
    const at = order.findIndex((row) => row.entryId === this.target.entryId);
    this.chosen = order[Math.max(0, Math.min(order.length - 1, at + step))].entryId;
  }

  /** Keys act on the newest row again. */
  release() {
    this.chosen = null;
  }

  /** Hide an entry for good: whether it was there. */
  mute(entryId = this.target?.entryId) {
    const row = this.rows.find((each) => each.entryId === entryId);
    if (!row) return false;
    this.#remember({ kind: "mute", entryId, row, place: this.rows.indexOf(row) });
    this.muted.set(entryId, row.term);
    this.#drop(row);
    return true;
  }

  /** Show a muted entry again when it is said. */
  unmute(entryId) {
    return this.muted.delete(entryId);
  }

  /** Hold a row in its place, or let it go; false where too many are held. */
  pin(entryId = this.target?.entryId) {
    const row = this.rows.find((each) => each.entryId === entryId);
    if (!row || (!row.isPinned && this.rows.filter((each) => each.isPinned).length >= this.mostPinned)) return false;
    row.isPinned = !row.isPinned;
    this.#remember({ kind: "pin", entryId });
    return true;
  }

  /** Say of the last hint of a row that it is "right" or "wrong": its id, null where there is no such row. */
  judge(verdict, entryId = this.target?.entryId) {
    const row = this.rows.find((each) => each.entryId === entryId);
    const hintId = row?.hintIds.at(-1);
    if (!hintId) return null;
    this.#remember({ kind: "judge", entryId, hintId, before: row.verdict });
    row.verdict = verdict;
    return hintId;
  }

  /** Take the last mute, pin or judgement back: what it was, null where there is none. */
  undo() {
    const last = this.undoable.pop();
    if (!last) return null;
    const row = this.rows.find((each) => each.entryId === last.entryId);
    if (last.kind === "mute") {
      this.muted.delete(last.entryId);
      if (!row) this.rows.splice(Math.min(last.place, this.rows.length), 0, last.row);
      this.#makeRoom();
    } else if (last.kind === "pin" && row) {
      row.isPinned = !row.isPinned;
    } else if (last.kind === "judge" && row) {
      row.verdict = last.before;
    }
    return last;
  }

  /** Another session: an empty board. What is muted stays muted. */
  clear() {
    Object.assign(this, { rows: [], history: [], chosen: null, undoable: [] });
  }

  #remember(action) {
    this.undoable.push(action);
    if (this.undoable.length > MOST_UNDO) this.undoable.shift();
  }

  #drop(row) {
    this.rows = this.rows.filter((each) => each !== row);
    this.#keepChoice();
  }

  #keepChoice() {
    if (!this.rows.some((row) => row.entryId === this.chosen)) this.chosen = null;
  }

  #makeRoom() {
    while (this.rows.length > this.most) {
      this.#drop(this.rows.findLast((row) => !row.isPinned));
    }
  }
}
