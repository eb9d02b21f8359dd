// What is shown is in the address, so that a link restores it.

/**
 * @typedef {{view: string, lang: "vi" | "en", theme: string, province: string, figure: string, by: string,
 *   sort: string, persona: string, lift: string[], ask: string, set: Record<string, number>, band: boolean}} State
 */
const VIEWS = ["live", "whatif", "file", "faults", "data"];
const FIGURES = ["d1", "d2", "paperless", "online", "on_time", "presumed"];
const AUTHORITIES = ["province", "ministry", "all"];

/** @param {string | null} value @param {string[]} known */
const among = (value, known) => (value !== null && known.includes(value) ? value : known[0]);

/** @returns {State} */
export function state() {
  const query = new URLSearchParams(location.search);
  const lang = query.get("lang") ?? (navigator.language.toLowerCase().startsWith("en") ? "en" : "vi");
  return {
    view: among(query.get("view"), VIEWS),
    lang: lang === "en" ? "en" : "vi",
    theme: among(query.get("theme"), ["auto", "light", "dark"]),
    province: /^\d\d$/.test(query.get("province") ?? "") ? String(query.get("province")) : "",
    figure: among(query.get("figure"), FIGURES),
    by: among(query.get("by"), AUTHORITIES),
    sort: among(query.get("sort"), ["rank", "name", "applications"]),
    persona: query.get("persona") ?? "",
    lift: (query.get("lift") ?? "").split(",").filter(Boolean),
    ask: among(query.get("ask"), query.get("lift") ? ["reasons", "measures"] : ["measures", "reasons"]),
    set: settingOf(query.get("set") ?? ""),
    band: query.get("band") === "1",
  };
}

/** How far each lever is on its way, 0..1: `fee_online:1,land_data:0.5`. @param {string} text */
function settingOf(text) {
  const pairs = text
    .split(",")
    .map((each) => /^([a-z0-9_]+):(0|1|0\.\d{1,2})$/.exec(each))
    .filter((each) => each !== null);
  return Object.fromEntries(pairs.map(([, name, value]) => [name, Number(value)]).filter(([, value]) => value));
}

/** A setting as it stands in the address; null: nothing is moved. @param {Record<string, number>} setting */
export const settingText = (setting) =>
  Object.entries(setting)
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}:${value}`)
    .join(",") || null;

/**
 * The address with some of it changed; what is null or empty is left out.
 * @param {Record<string, string | null>} changes
 */
export function address(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  return text ? `/?${text}` : "/";
}

/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {() => void} listener */
export const onMove = (listener) => void listeners.add(listener);
const moved = () => listeners.forEach((each) => each());

/** @param {Record<string, string | null>} changes @param {boolean} [replace] */
export function go(changes, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", address(changes));
  moved();
}

/** Keep something in the address that is shown already. @param {Record<string, string | null>} changes */
export const remember = (changes) => history.replaceState(null, "", address(changes));

addEventListener("popstate", moved);
// A plain click on a link of the page changes the address without loading anything anew.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (
    !link ||
    event.defaultPrevented ||
    event.button ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  const url = new URL(link.href, location.href);
  if (
    url.origin !== location.origin ||
    url.pathname !== "/" ||
    link.hasAttribute("download") ||
    link.getAttribute("href")?.startsWith("#")
  )
    return;
  event.preventDefault();
  history.pushState(null, "", url);
  moved();
  scrollTo(0, 0);
  document.getElementById("main")?.focus({ preventScroll: true });
});
