// Sự cố VNeID: named switches in grades; what is shown as in force is what the mock says, read back.
import { announce, h } from "./dom.js";
import { Refusal, json } from "./api.js";
import { NONE, percent } from "./format.js";
import { markText } from "./charts.js";
import { address, state } from "./state.js";
import { databaseName, nameOf, provinceName, store } from "./store.js";
import { or, t } from "./texts.js";

/** @type {{state: any, plans: any[], refusal: string, busy: boolean, asked: boolean, province: string}} */
const own = { state: null, plans: [], refusal: "", busy: false, asked: false, province: "01" };
const GRADES = [0, 0.05, 0.25, 1];
/**
 * Fields that a switch sets together; shares of components and of replies sum to 1 at most.
 * @type {[string, string, number[], Record<string, number>][]}
 */
const SWITCHES = [
  ["never", "never_answer_share", [0, 0.05, 0.25, 0.9], {}],
  ["late", "late_answer_share", [0, 0.02, 0.1, 0.5], {}],
  ["silent", "silent_share", [0, 0.02, 0.1, 0.4], {}],
  ["duplicate", "duplicate_share", [0, 0.01, 0.1, 0.5], { duplicate_gap_max_s: 0.5 }],
  ["slow", "slow_share", [0, 0.01, 0.1, 0.5], { slow_delay_s: 1, slow_delay_max_s: 4 }],
];

export async function readPlan() {
  own.asked = true;
  try {
    const [plan, { plans }] = await Promise.all([json("/mock/plan"), json("/mock/plans")]);
    Object.assign(own, { state: plan, plans, refusal: "" });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // What was read before may no longer hold: rather nothing than a state that is not.
    Object.assign(own, { state: null, refusal: error.status ? error.message : t("away") });
    setTimeout(() => {
      if (state().view === "faults") void readPlan();
    }, 3000);
  }
  store.changed();
}

/** @param {string} method @param {string} path @param {any} [body] */
async function ask(method, path, body) {
  if (own.busy) return;
  own.busy = true;
  store.changed();
  let refusal = "";
  try {
    await json(path, { method, body });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refusal = error.message;
  }
  await readPlan();
  own.busy = false;
  own.refusal ||= refusal;
  announce(refusal || t("faults.changed"));
  store.changed();
}

export function faults() {
  if (!own.asked) void readPlan();
  const { lang } = state();
  const head = [h("h1", {}, t("nav.faults")), h("p", { class: "muted" }, t("faults.intro"))];
  if (!own.state)
    return [
      ...head,
      own.refusal
        ? h("p", { class: "bad", role: "alert" }, t("faults.away"), own.refusal)
        : h("p", { class: "muted" }, t("loading")),
    ];
  const { plan, seed, changed_by_hand } = own.state;
  const differs = Object.fromEntries(
    Object.entries(plan).filter(([name, value]) =>
      name.endsWith("_share")
        ? value
        : name === "overrides"
          ? value.length
          : name === "unreachable" && Object.values(value).some(Boolean),
    ),
  );
  return [
    ...head,
    h(
      "section",
      { class: "notice", id: "in-force" },
      h("h2", {}, t("faults.now")),
      h(
        "p",
        {},
        h("strong", {}, `${t("faults.plan")} ${plan.name}`),
        ` · ${t("faults.seed")} ${seed} · ${changed_by_hand} ${t("faults.hand")}`,
      ),
      h("p", {}, markText(differs) || t("grade.0")),
      own.refusal && h("p", { class: "bad", role: "alert" }, own.refusal),
      h(
        "p",
        { class: "row" },
        h(
          "button",
          { type: "button", disabled: own.busy, onclick: () => ask("POST", "/mock/plan/reset") },
          t("faults.reset"),
        ),
        h("a", { class: "button", href: address({ view: null }) }, t("faults.see")),
      ),
    ),
    h(
      "section",
      {},
      h("h2", {}, t("faults.packaged")),
      h(
        "div",
        { class: "row" },
        own.plans.map((each) =>
          h(
            "button",
            {
              type: "button",
              "data-key": each.name,
              disabled: own.busy,
              "aria-pressed": String(same(each, plan)),
              onclick: () => ask("PUT", "/mock/plan", { name: each.name }),
            },
            each.name,
          ),
        ),
      ),
      h(
        "ul",
        { class: "small muted" },
        own.plans.map((each) => h("li", {}, h("strong", {}, each.name), `: ${or(`plan.${each.name}`, each.sentence)}`)),
      ),
    ),
    h(
      "section",
      {},
      h("h2", {}, t("faults.switches")),
      SWITCHES.map(([name, field, grades, beside]) =>
        grade(name, t(`switch.${name}`), t(`switch.${name}.note`), plan[field], grades, (share) =>
          ask("PATCH", "/mock/plan", { ...(share ? beside : {}), [field]: share }),
        ),
      ),
    ),
    h(
      "section",
      {},
      h("h2", {}, t("faults.databases")),
      h("p", { class: "muted small" }, t("faults.databases.note")),
      store.facts.databases.map((/** @type {any} */ each) =>
        grade(each.slug, nameOf(each), each.owner, plan.unreachable[each.slug] ?? 0, GRADES, (share) =>
          ask("PATCH", "/mock/plan", unreachable(plan, each.slug, share)),
        ),
      ),
    ),
    h(
      "section",
      {},
      h("h2", {}, t("faults.place")),
      h("p", { class: "muted small" }, t("faults.place.note")),
      h(
        "label",
        { class: "field" },
        h("span", {}, t("province")),
        h(
          "select",
          {
            id: "cut-off",
            onchange: (/** @type {any} */ event) => {
              own.province = event.target.value;
              store.changed();
            },
          },
          store.facts.provinces.map((/** @type {any} */ each) =>
            h("option", { value: each.code, selected: each.code === own.province }, nameOf(each)),
          ),
        ),
      ),
      grade("place", provinceName(own.province), "", cutOff(plan, own.province), [0, 0.25, 0.9], (share) =>
        ask("PATCH", "/mock/plan", { overrides: overrides(plan, own.province, share) }),
      ),
      h(
        "p",
        { class: "small" },
        plan.overrides
          .map(
            (/** @type {any} */ each) =>
              `${provinceName(each.match.province ?? "") || databaseName(each.match.database ?? "") || NONE}: ` +
              percent(each.set.never_answer_share ?? 0, lang, 0),
          )
          .join("; "),
      ),
    ),
    h("p", { class: "muted small" }, t("faults.warn")),
  ];
}

/**
 * A switch: its grades, the one that was read back pressed.
 * @param {string} key
 * @param {string} name
 * @param {string} note
 * @param {number} value
 * @param {number[]} grades
 * @param {(share: number) => void} chosen
 */
function grade(key, name, note, value, grades, chosen) {
  const { lang } = state(),
    known = grades.includes(value);
  return h(
    "div",
    { class: "switch", "data-key": key, role: "group", "aria-label": name },
    h("div", {}, h("strong", {}, name), note && h("p", { class: "muted small" }, note)),
    h(
      "div",
      { class: "row" },
      grades.map((share) =>
        h(
          "button",
          { type: "button", disabled: own.busy, "aria-pressed": String(share === value), onclick: () => chosen(share) },
          share ? percent(share, lang, 0) : t("grade.0"),
        ),
      ),
      !known && h("span", { class: "other" }, `${t("grade.other")}: ${percent(value, lang, 1)}`),
    ),
  );
}

/**
 * The look-ups of one database fail; what answers late must leave room.
 * @param {any} plan
 * @param {string} slug
 * @param {number} share
 */
function unreachable(plan, slug, share) {
  const others = plan.never_answer_share + plan.late_answer_share + plan.very_late_answer_share;
  return {
    unreachable: {
      ...plan.unreachable,
      [slug]: share === 1 ? Math.max(0, Math.floor((1 - others) * 1000) / 1000) : share,
    },
  };
}

/** @param {any} plan @param {string} code */
const cutOff = (plan, code) =>
  plan.overrides.find((/** @type {any} */ each) => each.match.province === code)?.set.never_answer_share ?? 0;

/** @param {any} plan @param {string} code @param {number} share */
const overrides = (plan, code, share) => [
  ...plan.overrides.filter((/** @type {any} */ each) => each.match.province !== code),
  ...(share ? [{ match: { province: code }, set: { never_answer_share: share } }] : []),
];

/** @param {any} packaged @param {any} plan */
const same = (packaged, plan) => JSON.stringify(sorted(packaged)) === JSON.stringify(sorted(plan));
/** @param {any} plan */
const sorted = (plan) =>
  Object.entries(plan).map(([name, value]) => [
    name,
    typeof value === "object" && value && !Array.isArray(value)
      ? Object.entries(value)
          .filter(([, share]) => share)
          .sort()
      : value,
  ]);
