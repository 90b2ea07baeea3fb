/** A session's hints as files. Pure: messages of the server in, text out. */

const COLUMNS = [
  "start", "end", "term", "translation", "score", "occurrence", "latency_ms", "entry_id", "hint_id", "glossary_version",
];
const LEAST_SHOWN_S = 1.5;

/** One JSON object a line, as they came over the wire. */
export function toJsonl(messages) {
  return messages.map((message) => `${JSON.stringify(message)}\n`).join("");
}

/**
 * RFC 4180 with a heading. A cell that a spreadsheet would compute begins with an apostrophe. Of the languages that are
 * shown, the first is the hint's own translation; each other one has a column of its own beside it.
 */
export function toCsv(hints, langs = []) {
  const beside = COLUMNS.indexOf("translation") + 1;
  const others = langs.slice(1);
  const heading = COLUMNS.toSpliced(beside, 0, ...others.map((lang) => `translation:${lang}`));
  const rows = hints.map((hint) => COLUMNS
    .map((name) => (name === "latency_ms" ? hint.latency_ms.since_term_end : hint[name]))
    .toSpliced(beside, 0, ...others.map((lang) => hint.translations?.[lang])).map(cell).join(","));
  return `${[heading.map(cell).join(","), ...rows].join("\r\n")}\r\n`;
}

function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Subtitles: term and translations while the term is said, and long enough to be read. */
export function toSrt(hints, langs = []) {
  return cues(hints, langs).map(({ start, end, text }, at) =>
    `${at + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${text}\n`).join("\n");
}

/** The same as WebVTT. */
export function toVtt(hints, langs = []) {
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return ["WEBVTT\n", ...cues(hints, langs).map(({ start, end, text }) =>
    `${clock(start, ".")} --> ${clock(end, ".")}\n${escaped(text)}\n`)].join("\n");
}

function cues(hints, langs) {
  const shown = (hint) => [hint.translation, ...langs.slice(1).map((lang) => hint.translations?.[lang])].filter(Boolean);
  return [...hints].sort((a, b) => a.start - b.start).map((hint) => ({
    start: hint.start, end: Math.max(hint.end, hint.start + LEAST_SHOWN_S),
    // A blank line would end the cue.
    text: [hint.term, shown(hint).join(" · ")].filter(Boolean).join(" → ").replace(/\s*[\r\n]+\s*/g, " "),
  }));
}

/** Seconds as HH:MM:SS and milliseconds after `point`. */
export function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const two = (value) => String(value).padStart(2, "0");
  return `${two(Math.floor(ms / 3600000))}:${two(Math.floor(ms / 60000) % 60)}:${two(Math.floor(ms / 1000) % 60)}${point}`
    + String(ms % 1000).padStart(3, "0");
}

/** Give a file to the browser's downloads. */
export function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
