/** What surrounds the views: the tabs, dark and light, a screen that stays on. */
import { memory } from "./memory.js";

/** Tabs as the ARIA practices have them: arrows move, one is in the order of Tab. `changed` is told. */
export function setUpTabs(changed) {
  const tabs = [...document.querySelectorAll("#termcue [role=tab]")];
  const choose = (tab) => {
    for (const each of tabs) {
      const isChosen = each === tab;
      each.setAttribute("aria-selected", String(isChosen));
      each.tabIndex = isChosen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !isChosen;
    }
    changed();
  };
  tabs.forEach((tab, number) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(number + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
      event.preventDefault();
    });
  });
}

/** Dark or light as the system has it, until the button says otherwise. */
export function setUpTheme(root, button) {
  const system = matchMedia("(prefers-color-scheme: light)"), kept = memory("localStorage");
  const apply = () => {
    const theme = kept.get("termcue-theme") ?? (system.matches ? "light" : "dark");
    root.dataset.theme = document.documentElement.dataset.termcue = theme;
    document.body.classList.toggle("dark", theme === "dark");
    document.documentElement.style.colorScheme = theme;
    button.setAttribute("aria-label", theme === "dark" ? "Dark; change to light" : "Light; change to dark");
  };
  button.addEventListener("click", () => {
    kept.set("termcue-theme", root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

/** Keeps the screen on while it is wanted: a phone that goes dark stops listening. */
export class ScreenLock {
  #lock = null;
  #isWanted = false;

  constructor() {
    // The browser takes it away from a page that is not seen.
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  want(isWanted) {
    if (isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    if (isWanted) this.#ask(); else this.#lock?.release();
  }

  async #ask() {
    if (!this.#isWanted || document.visibilityState !== "visible") return;
    // Refused where the battery is low: nothing to be done about it.
    this.#lock = await navigator.wakeLock?.request("screen").catch(() => null);
    if (!this.#isWanted) this.#lock?.release();
  }
}
