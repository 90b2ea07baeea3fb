/** A glossary as a table that can be edited, and as the CSV that is published of it. Pure. */

const FIRST = ["id", "term"];

/** Records with their heading -> {columns, rows}; rows are objects of texts, translations stand beside their term. */
export function tableOf([heading = [], ...records]) {
  const isFirst = (name) => FIRST.includes(name) || langOf(name) !== null;
  const columns = [...FIRST.filter((name) => heading.includes(name)), ...heading.filter((name) => langOf(name) !== null),
    ...heading.filter((name) => !isFirst(name))];
  return { columns, rows: records.map((cells) => Object.fromEntries(heading.map((name, at) => [name, cells[at]]))) };
}

/** The language of a column of translations, "" where it is not named; null for any other column. */
export function langOf(column) {
  if (column === "translation") return "";
  return column.startsWith("translation:") ? column.slice("translation:".length) : null;
}

/** A table as CSV; rows without a term are left out. */
export function csvOf({ columns, rows }) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = rows.filter((row) => row.term?.trim()).map((row) => columns.map((name) => quoted(row[name] ?? "")).join(","));
  return `${[columns.join(","), ...lines].join("\r\n")}\r\n`;
}

/** The rows that hold a text in any column, however it is written. */
export function found(rows, text) {
  const wanted = text.trim().toLocaleLowerCase();
  return wanted === "" ? rows : rows.filter((row) => Object.values(row).some((cell) => cell.toLocaleLowerCase().includes(wanted)));
}

/** The id under which a file is published unless another one is asked for. */
export function idOf(fileName) {
  return fileName.replace(/\.[^.]*$/, "").toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[-._]+|[-._]+$/g, "") || "glossary";
}
