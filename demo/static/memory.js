/** What the browser keeps for the page. Where it keeps nothing (forbidden, full), that lasts as long as the page. */

/** The store of that name ("localStorage", "sessionStorage") as {get, set}, which never throw. */
export function memory(name) {
  const here = new Map();
  let store = null;
  try {
    store = globalThis[name] ?? null;
  } catch {
    // Even to look at it is refused where a page may keep nothing.
  }
  return {
    get: (key) => here.get(key) ?? store?.getItem(key) ?? null,
    set: (key, value) => {
      here.set(key, value);
      try {
        store?.setItem(key, value);
      } catch {
        // Full: the page remembers it.
      }
    },
  };
}
