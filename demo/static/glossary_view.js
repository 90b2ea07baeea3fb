/** The glossary on the page: read, searched, edited as a table, brought in as a file, and what became of it. */
import { csvOf, found, idOf, tableOf } from "./glossary_table.js";

const MOST_ROWS = 200;
const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const at = (id) => document.getElementById(id);
const made = (tag, textContent, more = {}) => Object.assign(document.createElement(tag), { textContent, ...more });

export class GlossaryView {
  /**
   * @param {Desk} desk where glossaries are read and published
   * @param {(id: string, version: string) => Promise<boolean>} use told of a version that was published, to listen for
   *   it: whether it is served
   */
  constructor(desk, use) {
    Object.assign(this, { desk, use, opened: null, table: tableOf([]), isEditing: false, suggested: "" });
    at("book-search").addEventListener("input", () => this.#draw());
    at("book-edit").addEventListener("click", () => this.#fresh(true));
    at("book-cancel").addEventListener("click", () => this.#fresh(false));
    at("book-add").addEventListener("click", () => {
      this.table.rows.unshift({});
      this.#draw();
      at("book").querySelector("input")?.focus();
    });
    at("book-save").addEventListener("click", () => this.#publish(this.opened.id, "table.csv", csvOf(this.table), this.opened.version));
    at("upload-file").addEventListener("change", () => {
      const [file] = at("upload-file").files;
      // The name of another file is no name for this one.
      if (file && ["", this.suggested].includes(at("upload-id").value)) at("upload-id").value = this.suggested = idOf(file.name);
    });
    at("upload").addEventListener("click", async () => {
      const [file] = at("upload-file").files;
      if (!file) return this.#tell("warning", "Choose a file first.");
      await this.#publish(at("upload-id").value.trim() || idOf(file.name), file.name, file);
    });
  }

  /** Show a glossary that was read; null where it cannot be read here. */
  show(opened, id) {
    // What is being edited is not taken out of the editor's hands.
    if (this.isEditing && opened?.id === this.opened?.id) return;
    this.opened = opened;
    at("book-title").textContent = opened ? `${id} · ${opened.table.length - 1} entries · version ${opened.version}`
      : `${id} is served elsewhere: its entries cannot be read here.`;
    at("book-edit").disabled = !opened;
    this.#edit(false);
  }

  /** What is edited, or shown again, is the last version, whoever published it. */
  async #fresh(isEditing) {
    this.#edit(false);
    const { id } = this.opened;
    const opened = await this.desk.read(id).catch(() => this.opened);
    if (this.opened.id !== id) return;
    this.show(opened, id);
    this.#edit(isEditing);
  }

  #edit(isEditing) {
    this.isEditing = isEditing;
    this.table = tableOf(this.opened?.table ?? []);
    for (const id of ["book-save", "book-cancel", "book-add"]) at(id).hidden = !isEditing;
    at("book-edit").hidden = isEditing;
    this.#draw();
  }

  #draw() {
    const { columns, rows } = this.table;
    const used = this.isEditing ? columns.filter((name) => name !== "id" && name !== "source_lang")
      : columns.filter((name) => name === "term" || (name !== "id" && name !== "source_lang" && rows.some((row) => row[name])));
    const matching = found(rows, at("book-search").value);
    const head = document.createElement("thead"), body = document.createElement("tbody");
    head.append(document.createElement("tr"));
    if (this.isEditing) head.firstChild.append(document.createElement("td"));
    head.firstChild.append(...used.map((name) => made("th", name.replace("translation:", "→ ").replaceAll("_", " "), { scope: "col" })));
    body.append(...matching.slice(0, MOST_ROWS).map((row) => this.#row(row, used)));
    at("book").replaceChildren(head, body);
    at("book-more").textContent = matching.length > MOST_ROWS
      ? `${MOST_ROWS} of ${matching.length} are shown: search for the others.` : `${matching.length} of ${rows.length}`;
  }

  #row(row, used) {
    const line = document.createElement("tr");
    if (this.isEditing) line.append(this.#remover(row));
    line.append(...used.map((name) => {
      if (!this.isEditing) return made("td", row[name] ?? "", { dir: "auto" });
      const cell = document.createElement("td");
      const field = made("input", "", { type: "text", dir: "auto", value: row[name] ?? "", ariaLabel: `${name} of ${row.term ?? "a new entry"}` });
      field.addEventListener("input", () => { row[name] = field.value; });
      cell.append(field);
      return cell;
    }));
    return line;
  }

  #remover(row) {
    const cell = document.createElement("td");
    const button = made("button", "✕", { type: "button", title: "Take this entry out", ariaLabel: `Take out ${row.term ?? "a new entry"}` });
    button.addEventListener("click", () => {
      this.table.rows = this.table.rows.filter((each) => each !== row);
      this.#draw();
    });
    cell.append(button);
    return cell;
  }

  async #publish(id, fileName, content, madeOf) {
    if (!NAME.test(id)) {
      this.#tell("error", `${id} cannot be used as a name: take a-z, 0-9, ".", "_" and "-", beginning with a letter or digit.`);
      return;
    }
    this.#tell("note", "Reading, checking and publishing …");
    for (const button of ["upload", "book-save"]) at(button).disabled = true;
    try {
      const published = await this.desk.publish(id, fileName, content, madeOf);
      this.isEditing = false;
      this.#outcome(published, await this.use(id, published.report.version));
    } catch (error) {
      this.#tell("error", error.message);
    } finally {
      for (const button of ["upload", "book-save"]) at(button).disabled = false;
    }
  }

  #tell(kind, text) {
    const signs = { error: "✖", warning: "⚠", note: "ℹ" };
    at("outcome").replaceChildren(made("p", `${signs[kind]} ${text}`, { className: `banner ${kind}` }));
  }

  #outcome({ report, is_new: isNew, previous, changes, counts }, isServed) {
    const parts = [made("p", isNew ? `✔ Published as ${report.id}, version ${report.version}${isServed ? ", and in use" : ""}.`
      : `✔ ${report.id} holds the same already: version ${report.version} stays.`, { className: "banner good" })];
    if (!isServed) {
      parts.push(made("p", `⚠ The server that listens does not have this version: it serves what lies on its own machine, and `
        + `a new name only when it is started again (termcue serve --glossary ${report.id}).`, { className: "banner warning" }));
    }
    parts.push(made("p", `${report.rows} rows: ${report.entries} entries, ${report.merged} merged, ${report.rejected.length} rejected. `
      + `${report.forms} spoken forms. Read as ${report.readings.join("; ")}.`));
    if (previous && isNew) {
      parts.push(made("h3", `Since version ${previous}: ${counts.added} added, ${counts.removed} removed, ${counts.changed} changed`));
      const marks = { added: "+", removed: "−", changed: "~" };
      parts.push(list(Object.entries(changes).flatMap(([kind, terms]) => terms.map((term) => `${marks[kind]} ${term}`))));
    }
    if (report.rejected.length > 0) {
      parts.push(made("h3", `✖ Not used (${report.rejected.length})`));
      parts.push(list(report.rejected.map((row) => `line ${row.line}: ${row.value || "(empty)"}: ${row.reason}`)));
    }
    if (report.warnings.length > 0) {
      parts.push(made("h3", `⚠ To look at (${report.warnings.length})`));
      parts.push(list(report.warnings.map((warning) => warning.message)));
    }
    at("outcome").replaceChildren(...parts);
  }
}

function list(texts) {
  const shown = document.createElement("ul");
  shown.append(...texts.slice(0, 100).map((text) => made("li", text)));
  if (texts.length > 100) shown.append(made("li", `and ${texts.length - 100} more`));
  return shown;
}
