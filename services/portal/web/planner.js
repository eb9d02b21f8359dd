// Asks the planner: what takes its time is asked again until it is there; of what follows a slider, the latest wins.
import { announce } from "./dom.js";
import { Refusal, outcome } from "./api.js";
import { percent } from "./format.js";
import { remember, settingText, state } from "./state.js";
import { store } from "./store.js";
import { t } from "./texts.js";

/**
 * An answer, or for how long it has been worked on, or why there is none.
 * @typedef {{value?: any, since?: number, refused?: string}} Told
 */
const AGAIN_MS = 400;
const KEPT = 60;
// A held arrow key moves a slider 30 times a second; browsers refuse as many changes of the address.
const SETTLED_MS = 300;

/** @type {Map<string, Told>} by address */
const known = new Map();

/**
 * The planner's answer to a question that is asked once.
 * @param {string} path
 * @param {string} [method]
 * @returns {Told}
 */
export function told(path, method = "GET") {
  const found = known.get(path);
  if (found) return found;
  if (known.size >= KEPT) known.delete(known.keys().next().value ?? "");
  const made = {};
  known.set(path, made);
  void ask(path, made, method);
  return made;
}

/** @param {string} path @param {Told} entry @param {string} method */
async function ask(path, entry, method) {
  for (;;) {
    try {
      const [status, body] = await outcome(path, method);
      if (status === 200) {
        entry.value = body;
        break;
      }
      entry.since = body.since_s;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      entry.refused = error.status ? error.message : t("away");
      // Asked again when somebody looks again.
      setTimeout(() => known.delete(path), 5000);
      break;
    }
    store.changed();
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (known.get(path) !== entry) return;
  }
  store.changed();
}

/** @type {Record<string, number> | null} the setting while it is ahead of the address */
let moving = null;
let settling = 0;

/** How the levers stand now, moved by hand or by the address. */
export const setting = () => moving ?? state().set;

/** Let go of a slider: the address says how the levers stand. */
export function letGo() {
  clearTimeout(settling);
  moving = null;
}

/** @param {string} lever @param {number} value 0..1 */
export function move(lever, value) {
  moving = { ...setting(), [lever]: value };
  clearTimeout(settling);
  settling = setTimeout(settle, SETTLED_MS);
  store.changed();
}

function settle() {
  const now = setting();
  letGo();
  remember({ set: settingText(now) });
  unsaid = true;
  say();
  store.changed();
}

let unsaid = false;
/** Say what the levers come to, once they rest and it is known. */
function say() {
  const { lang, by } = state(),
    d1 = latest.value?.rates[by].d1;
  if (!unsaid || moving || latest.path !== answerPath() || d1 === undefined) return;
  unsaid = false;
  announce(`${t("whatif.then.measures")}: ${percent(d1, lang)}`);
}

/** The question of now, below a path of the planner. @param {string} path @param {Record<string, number>} levers */
export function question(path, levers) {
  const { province, by } = state(),
    query = new URLSearchParams({ by });
  if (province) query.set("province", province);
  for (const [name, value] of Object.entries(levers)) if (value) query.append("lever", `${name}=${value}`);
  return `/planner/${path}?${query}`;
}

const answerPath = () => question("answer", setting());

/** @type {Told & {path: string}} */
let latest = { path: "" };
let asking = false;

/**
 * The latest answer to how the levers stand, and whether a newer one is on its way.
 * @returns {Told & {late: boolean}}
 */
export function latestAnswer() {
  const late = latest.path !== answerPath();
  if (late && !asking) void follow();
  return { ...latest, late };
}

/** Ask for what is wanted until nothing newer is: one question at a time, so none waits behind an old one. */
async function follow() {
  asking = true;
  try {
    while (latest.path !== answerPath() && state().view === "whatif") {
      const path = answerPath(),
        [status, body] = await outcome(path);
      if (status === 200) {
        latest = { path, value: body };
        say();
      } else {
        latest = { path: "", since: body.since_s };
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
      store.changed();
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const path = answerPath();
    latest = { path, refused: error.status ? error.message : t("away") };
    setTimeout(() => {
      if (latest.path === path) {
        latest = { path: "" };
        store.changed();
      }
    }, 5000);
    store.changed();
  } finally {
    asking = false;
  }
}
