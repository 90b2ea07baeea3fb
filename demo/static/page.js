/** The page: waits until Gradio has put it there, then ties its parts together. */
import { Banners } from "./banners.js";
import { Board } from "./board.js";
import { BoothView } from "./booth_view.js";
import { Controls } from "./controls.js";
import { Desk, Lexicon } from "./desk.js";
import { EngineerView } from "./engineer_view.js";
import { tableOf } from "./glossary_table.js";
import { GlossaryView } from "./glossary_view.js";
import { Listening } from "./listening.js";
import { SessionLog } from "./session_log.js";
import { captured, decoded, recorded } from "./sound.js";
import { ScreenLock, setUpTabs, setUpTheme } from "./surroundings.js";
import { TrainingRows } from "./training_rows.js";

const at = (id) => document.getElementById(id);
const nowS = () => performance.now() / 1000;

class Page {
  constructor() {
    Object.assign(this, { desk: new Desk(), banners: new Banners(at("banners")), board: new Board(), session: null });
    Object.assign(this, { log: new SessionLog(), lexicon: new Lexicon(), served: [], isDue: false, isStarting: false, heard: null });
    Object.assign(this, { controls: new Controls(), rows: new TrainingRows(), screen: new ScreenLock(), last: { seconds: 0, threshold: undefined } });
    this.book = new GlossaryView(this.desk, (id, version) => this.usePublished(id, version));
    this.engineer = new EngineerView((perHour) => this.setFalseHints(perHour));
    this.booth = new BoothView(this.board, (name, entryId) => this.act(name, entryId));
    addEventListener("resize", () => this.drawSoon());
    at("start").addEventListener("click", () => (this.session ? this.session.stop() : this.start()));
    at("source").addEventListener("change", () => this.controls.show(this.session !== null));
    at("glossary").addEventListener("change", () => this.useGlossary(at("glossary").value));
    for (const id of ["lang-first", "lang-second"]) at(id).addEventListener("change", () => this.useLanguages());
    at("key").addEventListener("change", () => { this.desk.setKey(at("key").value); this.readGlossaries(); });
    addEventListener("hashchange", () => { if (this.desk.takeKey()) this.open(); });
    addEventListener("beforeunload", (event) => { if (this.session || this.rows.isUnsaved) event.preventDefault(); });
    setInterval(() => { this.session?.tick(); this.board.tick(nowS()); this.draw(); }, 1000);
  }

  async open() {
    if (!globalThis.isSecureContext) {
      this.banners.say("insecure", "error", "The browser gives no sound to pages over http:// from another machine. Open the "
        + "page over https:// (termcue demo --ssl-self-signed), or on the machine itself as http://localhost. Files still work.");
    }
    try {
      const isFirst = this.desk.setup === null;
      const setup = await this.desk.open();
      if (isFirst) at("source").append(...setup.recordings.map(({ name, title }) => new Option(`Recording: ${title}`, `recording:${name}`)));
      if (setup.server) at("goes-to").textContent = setup.server;
      await this.readGlossaries(setup.glossary);
    } catch (error) {
      this.banners.say("desk", "error", error.message);
    }
    this.controls.show(this.session !== null);
    this.draw();
  }

  async readGlossaries(wanted = at("glossary").value) {
    try {
      this.served = await this.desk.glossaries();
    } catch (error) {
      this.controls.askKey(this.desk.setup?.needs_key, this.desk.key);
      this.banners.say("desk", "error", error.message);
      return;
    }
    this.controls.askKey(false);
    this.banners.clear("desk");
    const before = at("glossary").value;
    at("glossary").replaceChildren(...this.served.map(({ id, terms }) => new Option(`${id} (${terms})`, id)));
    at("glossary").value = [wanted, before].find((each) => this.served.some(({ id }) => id === each)) ?? this.served[0]?.id ?? "";
    await this.readGlossary(at("glossary").value);
  }

  /** Read what is known of a glossary: its translations, its entries, its dial. */
  async readGlossary(id) {
    let opened = null;
    try {
      opened = await this.desk.read(id);
    } catch {
      // Served elsewhere: hints still bring their own translation.
    }
    // Of two that are being read the one chosen last counts, whichever answer comes last.
    if (at("glossary").value !== id) return;
    this.lexicon = new Lexicon(opened ? tableOf(opened.table) : undefined);
    this.book.show(opened, id);
    this.engineer.setStops(opened?.dial ?? []);
    this.engineer.follow(this.session?.effective ?? { threshold: 1 });
    this.controls.offerLanguages(this.served.find((each) => each.id === id)?.target_langs ?? [], this.desk.setup?.target_langs ?? []);
    this.useLanguages();
  }

  useLanguages() {
    for (const view of [this.booth, this.engineer]) view.setLanguages(this.controls.languages);
    this.draw();
  }

  /** Listen for another glossary, without a break where a session runs. */
  async useGlossary(id) {
    const { session } = this;
    try {
      if (session) {
        await session.stream.configure({ glossary: id, mute_entries: [] });
        session.glossary = id;
      }
      this.board.muted.clear();
    } catch (error) {
      // What is shown is what is listened for.
      at("glossary").value = session.glossary;
      this.banners.say("swap", "warning", error.message, 15);
    }
    await this.readGlossary(at("glossary").value);
  }

  /** Listen for a version that was published: whether the server has it. */
  async usePublished(id, version) {
    if (this.desk.setup.server) await this.desk.reload(id);
    await this.readGlossaries(id);
    if (!this.served.some((each) => each.id === id && each.version === version)) return false;
    if (this.session && this.session.glossary !== id) await this.useGlossary(id);
    return true;
  }

  async setFalseHints(perHour) {
    try {
      await this.session?.stream.configure({ false_hints_per_hour: perHour });
    } catch (error) {
      this.banners.say("dial", "warning", error.message, 15);
    }
  }

  async start() {
    if (this.isStarting) return;
    this.isStarting = true;
    for (const name of ["failed", "silence", "late", "lost", "connection"]) this.banners.clear(name);
    try {
      await this.listen(await this.openSource());
    } catch (error) {
      this.banners.say("failed", "error", error.message);
    }
    this.isStarting = false;
    this.draw();
  }

  async openSource() {
    const kind = at("source").value;
    if (kind === "microphone" || kind === "tab") return captured(kind, at("device").value);
    const [file] = at("file").files;
    if (kind === "file" && !file) throw new Error("Choose a file first.");
    const bytes = await (kind === "file" ? file.arrayBuffer() : this.desk.recording(kind.slice("recording:".length)));
    return recorded(await decoded(bytes), { isFast: at("pace").value === "fast", isAudible: at("audible").checked });
  }

  async listen(source) {
    Object.assign(this, { log: new SessionLog() });
    this.board.clear();
    const name = `termcue-${new Date().toISOString().slice(0, 23).replaceAll(/[:.]/g, "-")}`;
    this.engineer.begin(this.log, name);
    this.rows.begin(name);
    const chosen = this.engineer.chosen;
    const options = { glossary: at("glossary").value, targetLang: at("lang-first").value || undefined, profile: "booth" };
    if (chosen && at("dial").dataset.touched === "yes") options.falseHintsPerHour = chosen.per_hour;
    if (this.desk.setup?.needs_key) options.getToken = () => this.desk.token();
    const session = new Listening({
      source, options, address: this.desk.streamAddress, banners: this.banners, board: this.board, log: this.log,
      judged: this.rows.judged, lexicon: () => this.lexicon,
    });
    session.glossary = options.glossary;
    session.addEventListener("changed", () => this.drawSoon());
    session.addEventListener("level", ({ detail }) => this.showLevel(detail));
    session.addEventListener("message", ({ detail }) => this.heed(detail));
    session.addEventListener("over", () => { this.session = null; at("connection").dataset.over = name; this.showLevel({ level: 0 }); this.controls.show(this.session !== null); this.draw(); });
    this.session = this.heard = session;
    session.begin();
    this.controls.show(this.session !== null);
  }

  heed(message) {
    if (message.type === "Begin" || message.type === "Configured") {
      if (this.session) this.engineer.follow(this.session.effective);
      if (message.type === "Begin" && !message.resumed && this.board.muted.size > 0) this.tellMuted();
    } else if (message.type === "GlossaryUpdated") {
      const { added, removed, changed } = message;
      this.banners.say("glossary", "good", `The glossary in use has changed: ${added} entries added, ${removed} removed, ${changed} changed.`, 8);
      this.readGlossary(at("glossary").value);
    }
  }

  tellMuted() {
    this.session?.stream.configure({ mute_entries: [...this.board.muted.keys()] })
      .catch((error) => this.banners.say("mute", "warning", error.message, 15));
  }

  act(name, entryId) {
    const { board } = this;
    if (name === "mute" && board.mute(entryId)) this.tellMuted();
    if (name === "pin" && !board.pin(entryId)) this.banners.say("pin", "note", `At most ${board.mostPinned} terms can be pinned.`, 5);
    if (name === "right" || name === "wrong") this.judge(name, entryId);
    if (name === "undo") {
      const undone = board.undo();
      if (undone?.kind === "mute") this.tellMuted();
      if (undone?.kind === "judge") this.rows.takeBack(undone.hintId, undone.before);
    }
    this.draw();
  }

  judge(verdict, entryId) {
    const hintId = this.board.judge(verdict, entryId);
    if (!hintId) return;
    this.heard?.judge(verdict, hintId);
    this.rows.isSaved = false;
  }

  showLevel({ level, atS }) {
    this.controls.showLevel(level);
    if (atS !== undefined) this.engineer.waveform.add(level, atS);
    if (!at("view-engineer").hidden) this.drawSoon();
  }

  drawSoon() {
    if (this.isDue) return;
    this.isDue = true;
    // Not by frames: a page that is not seen gets none, and its counts must go on.
    setTimeout(() => { this.isDue = false; this.draw(); }, 40);
  }

  draw() {
    const state = this.session?.state ?? "idle";
    const said = { idle: "not listening", connecting: "connecting …", open: "listening", waiting: "connection lost" }[state] ?? state;
    Object.assign(at("connection"), { textContent: said });
    at("connection").dataset.state = state;
    at("start").textContent = this.session ? "Stop" : "Start";
    at("start").classList.toggle("stop", this.session !== null);
    this.screen.want(this.session !== null);
    this.booth.draw(nowS());
    at("quiet").textContent = this.board.rows.length > 0 ? "" : this.session ? "Listening. Terms of the glossary stand here as they are said."
      : "Press Start and speak: terms of the glossary stand here with their translations, before the sentence ends.";
    this.rows.draw();
    this.log.verdicts = this.rows.counts;
    if (this.session) this.last = { seconds: this.session.seconds, threshold: this.session.effective.threshold };
    this.engineer.draw(this.last.seconds, this.last.threshold);
  }
}

function begin() {
  if (!at("termcue") || at("termcue").dataset.ready) return;
  at("termcue").dataset.ready = "yes";
  setUpTheme(at("termcue"), at("theme"));
  const page = new Page();
  setUpTabs(() => page.draw());
  page.open();
}

new MutationObserver(begin).observe(document.documentElement, { childList: true, subtree: true });
begin();
