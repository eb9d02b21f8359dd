// What the page knows, and how it comes by it: the facts once, ticks while they come, tables when something has moved.
import { announce } from "./dom.js";
import { Refusal, json, listen, token } from "./api.js";
import { state } from "./state.js";
import { t } from "./texts.js";

/** @typedef {{key: string, rank: number | null, n: number, rates: Record<string, number[]>}} Row */
/**
 * @typedef {{at: number, per_s: number, flow: {open: number, lag: number, overruled: number, dead_letters: number,
 * away: string[]}, plan: string, changed_by_hand: number, trouble: string[], country: number | null}} Tick
 */

// What else is in a tick moves every second; these are sums over all cells.
const TABLES_EVERY_MS = 5000;
const SILENT_MS = 12000;
const POINTS = 900;

export const store = {
  /** @type {any} */ facts: null,
  /** @type {Tick | null} */ tick: null,
  /** @type {Row[]} the country, then the provinces that run their procedures, best first */ rows: [],
  /** @type {number[][]} */ points: [],
  /** @type {[number, Record<string, any>][]} */ marks: [],
  /** @type {Map<string, any>} tables by address */ tables: new Map(),
  /** @type {Map<string, string>} */ refused: new Map(),
  connected: false,
  ended: false,
  paused: false,
  /** @type {() => void} */ changed: () => {},
  /** @type {() => void} */ onMoved: () => {},
  /** @type {() => void} */ onPlan: () => {},
};

// As services/portal/figures.py writes them.
const OF_ALL = ["d1", "online", "on_time", "presumed", "minutes_to_result"];
const OF_SOME = ["d2", "paperless", "components_by_data", "papers_asked_although_data_were_there"];

/** @param {any[]} values @returns {Row} */
function unpacked([key, rank, n, ...rest]) {
  const rates = Object.fromEntries(OF_ALL.map((name, at) => [name, [rest[at], n]]));
  OF_SOME.forEach((name, at) => {
    rates[name] = [rest[OF_ALL.length + 2 * at], rest[OF_ALL.length + 2 * at + 1]];
  });
  return { key, rank, n, rates };
}

/** A row of the scoring API's tables in the same form. @param {any} row @returns {Row} */
export const rowOf = (row) => ({
  key: row.key,
  rank: row.rank,
  n: row.applications,
  rates: Object.fromEntries(
    Object.entries(row.rates).map(([name, each]) => [name, [each.numerator, each.denominator]]),
  ),
});

/** @type {Map<string, number>} when each table was last asked for */
const askedAt = new Map();
/** @type {Set<string>} */
const stale = new Set();

/** A table of the scoring API; undefined until it is here. @param {string} path @returns {any} */
export function table(path) {
  if (!store.tables.has(path) && !askedAt.has(path)) void refresh(path);
  return store.tables.get(path);
}

/** @param {string} path */
async function refresh(path) {
  const since = performance.now() - (askedAt.get(path) ?? -Infinity);
  if (since < TABLES_EVERY_MS) {
    if (!stale.has(path)) {
      stale.add(path);
      setTimeout(() => {
        stale.delete(path);
        void refresh(path);
      }, TABLES_EVERY_MS - since);
    }
    return;
  }
  askedAt.set(path, performance.now());
  try {
    store.tables.set(path, await json(path));
    store.refused.delete(path);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    store.refused.set(path, error.status ? error.message : t("away"));
    setTimeout(() => {
      if (!store.tables.has(path)) void refresh(path);
    }, TABLES_EVERY_MS);
  }
  store.changed();
}

/** Ask again for what the view shows, now that something moved. @param {Set<string>} shown */
export function refreshShown(shown) {
  for (const path of store.tables.keys())
    shown.has(path) ? void refresh(path) : (store.tables.delete(path), askedAt.delete(path));
}

/** @param {any} tick */
function heard(tick) {
  const moved = JSON.stringify(tick.rows) !== lastRows;
  lastRows = JSON.stringify(tick.rows);
  store.tick = tick;
  store.rows = tick.rows.map(unpacked);
  if (store.rows.length) {
    const [country] = store.rows;
    store.points.push([tick.at, tick.per_s, tick.flow.open, country.rates.d1[0], country.n]);
    store.points.splice(0, store.points.length - POINTS);
  }
  if (moved) store.onMoved();
  if (changes !== tick.changed_by_hand) {
    if (changes !== null) {
      announce(t("faults.changed"));
      void readHistory();
      store.onPlan();
    }
    changes = tick.changed_by_hand;
  }
  store.changed();
}
let lastRows = "";
/** @type {number | null} */
let changes = null;

export async function readHistory() {
  const { points, marks } = await json("/stream/history");
  store.points = points;
  store.marks = marks;
  store.changed();
}

/** @type {AbortController | null} */
let stream = null;

/** Follow the system: again after a pause when the stream is cut, not while the page is hidden or halted. */
export async function follow() {
  if (stream || store.paused || document.hidden) return;
  const mine = (stream = new AbortController());
  let lastHeard = performance.now();
  const watch = setInterval(() => {
    if (performance.now() - lastHeard > SILENT_MS) mine.abort();
  }, 1000);
  try {
    await readHistory();
    await listen(
      "/stream",
      (name, data) => {
        if (name === "end") {
          store.ended = true;
          return;
        }
        connected(true);
        heard(data);
      },
      mine.signal,
      () => {
        lastHeard = performance.now();
      },
    );
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof DOMException) && !(error instanceof TypeError)) throw error;
  } finally {
    clearInterval(watch);
    if (stream === mine) stream = null;
  }
  if (store.paused || document.hidden || token.wanted) {
    store.changed();
    return;
  }
  connected(false);
  setTimeout(() => void follow(), 2000);
}

/** @param {boolean} now */
function connected(now) {
  if (now) store.ended = false;
  if (store.connected !== now) {
    store.connected = now;
    announce(t(now ? "stream.on" : "stream.off"));
  }
  store.changed();
}

/** @param {boolean} paused */
export function pause(paused) {
  store.paused = paused;
  if (paused) stream?.abort();
  else void follow();
  store.changed();
}

document.addEventListener("visibilitychange", () => {
  document.hidden ? stream?.abort() : void follow();
});

/** Whether a name in both languages is shown in this one. @param {any} named */
export const nameOf = (named) => named?.[`name_${state().lang}`] ?? named?.[state().lang] ?? "";
/** @param {string} code */
export const provinceName = (code) =>
  nameOf(store.facts.provinces.find((/** @type {any} */ each) => each.code === code));
/** @param {string} slug */
export const databaseName = (slug) =>
  nameOf(store.facts.databases.find((/** @type {any} */ each) => each.slug === slug)) || slug;
/** @param {string} code */
export const procedureOf = (code) => store.facts.procedures.find((/** @type {any} */ each) => each.code === code);
