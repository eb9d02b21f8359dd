// Nếu… thì: what D1 would be without some of the reasons, summed here from the sets of reasons that the store
// counted.
import { h } from "./dom.js";
import { collator, number, rate } from "./format.js";
import { address, go, state } from "./state.js";
import { nameOf, store, table as asked } from "./store.js";
import { measures } from "./measures.js";
import { bar, choice, missing, table, unseen } from "./parts.js";
import { t } from "./texts.js";

/** @typedef {{reasons: string[], applications: number, upper_bound: boolean}} ReasonSet */
/**
 * @typedef {{applications: number, end_to_end: number, names: Record<string, [string, string]>, sets: ReasonSet[]}}
 * Counted
 */
const GOAL = 0.8;

/**
 * Applications that would end end to end without these reasons, and whether that is only an upper bound.
 * @param {Counted} counted @param {Set<string>} lifted @returns {[number, boolean]}
 */
export function without(counted, lifted) {
  let many = counted.end_to_end,
    bound = false;
  for (const each of counted.sets) {
    if (each.reasons.length && each.reasons.every((reason) => lifted.has(reason))) {
      many += each.applications;
      bound ||= each.upper_bound;
    }
  }
  return [many, bound];
}

/**
 * The fewest reasons without which the goal is reached, of several the one that lifts most; null: not even all do.
 * @param {Counted} counted
 * @returns {string[] | null}
 */
export function smallest(counted) {
  const reasons = Object.keys(counted.names),
    bits = new Map(reasons.map((reason, at) => [reason, 1 << at]));
  const masks = counted.sets
    .filter((each) => each.reasons.length)
    .map((each) => [each.reasons.reduce((mask, reason) => mask | (bits.get(reason) ?? 0), 0), each.applications]);
  let best = 0,
    size = Infinity,
    most = 0;
  for (let mask = 1; mask < 1 << reasons.length; mask++) {
    let ones = 0;
    for (let rest = mask; rest; rest &= rest - 1) ones++;
    if (ones > size) continue;
    let many = counted.end_to_end;
    for (const [set, applications] of masks) if ((set & ~mask) === 0) many += applications;
    if (many >= GOAL * counted.applications && (ones < size || many > most)) [best, size, most] = [mask, ones, many];
  }
  return best ? reasons.filter((_, at) => best & (1 << at)) : null;
}

/**
 * Reasons in the order in which each lifts most.
 * @param {Counted} counted
 * @returns {[string, number][]} reason, and how many end end to end by then
 */
function steps(counted) {
  /** @type {[string, number][]} */
  const found = [];
  const lifted = new Set(),
    left = new Set(Object.keys(counted.names));
  while (left.size) {
    const [best, many] = [...left]
      .map((reason) => /** @type {[string, number]} */ ([reason, without(counted, new Set([...lifted, reason]))[0]]))
      .sort((one, other) => other[1] - one[1])[0];
    lifted.add(best);
    left.delete(best);
    found.push([best, many]);
    if (many >= GOAL * counted.applications) break;
  }
  return found;
}

/**
 * @type {{of: Counted | null, smallest: string[] | null, steps: [string, number][]}} what takes a while, kept while the
 * counts stay
 */
const kept = { of: null, smallest: null, steps: [] };

/** Both ways to ask, and where. */
export function whatif() {
  const { lang, ask, province } = state();
  const places = store.facts.provinces
    .map((/** @type {any} */ each) => [each.code, nameOf(each)])
    .sort((/** @type {string[]} */ one, /** @type {string[]} */ other) => collator(lang)(one[1], other[1]));
  const link = (/** @type {string} */ way) =>
    h(
      "a",
      { class: "button", href: address({ ask: way }), "aria-current": way === ask ? "true" : null },
      t(`whatif.by.${way}`),
    );
  return [
    h("h1", {}, t("nav.whatif")),
    h("nav", { class: "ways", "aria-label": t("whatif.by") }, link("measures"), link("reasons")),
    h("p", { class: "muted" }, t(`whatif.intro.${ask}`)),
    h(
      "div",
      { class: "controls" },
      h(
        "label",
        { class: "choice" },
        h("span", {}, t("whatif.where")),
        h(
          "select",
          {
            name: "province",
            onchange: (/** @type {any} */ event) => go({ province: event.target.value || null }, true),
          },
          [["", t("country")], ...places].map(([code, text]) =>
            h("option", { value: code, selected: code === province }, text),
          ),
        ),
      ),
      ask === "measures" &&
        choice(
          "by",
          t("by"),
          state().by,
          ["province", "ministry", "all"].map((each) => [each, t(`by.${each}`)]),
        ),
    ),
    ask === "measures" ? measures() : reasons(),
  ];
}

function reasons() {
  const { lang, province, lift } = state(),
    path = `/scoring/why/sets?${province ? `province=${province}` : "authority=province"}`;
  /** @type {Counted | undefined} */
  const counted = asked(path);
  if (!counted) return [missing(path)];
  if (!counted.applications) return [h("p", { class: "notice" }, t("empty.head"))];
  if (kept.of !== counted) Object.assign(kept, { of: counted, smallest: smallest(counted), steps: steps(counted) });
  const lifted = new Set(lift),
    [many, bound] = without(counted, lifted),
    name = (/** @type {string} */ reason) => counted.names[reason]?.[lang === "vi" ? 0 : 1] ?? reason;
  const today = [counted.end_to_end, counted.applications];
  return [
    h(
      "section",
      { class: "result", "aria-label": t("whatif.then") },
      h("div", {}, h("h2", {}, t("whatif.now")), h("p", { class: "big" }, rate(today, lang))),
      h(
        "div",
        {},
        h("h2", {}, t("whatif.then")),
        h("p", { class: "huge", id: "then" }, `${bound ? "≤\u00a0" : ""}${rate([many, counted.applications], lang)}`),
        h("p", { class: "muted" }, `${number(many, lang)} / ${number(counted.applications, lang)}`),
      ),
      h(
        "div",
        {
          class: "goal",
          role: "img",
          "aria-label": `${rate([many, counted.applications], lang)}, ${t("whatif.goal")}`,
        },
        h("span", { style: { width: `${(100 * many) / counted.applications}%` } }),
        h("i", { style: { left: `${100 * GOAL}%` } }),
      ),
      h("p", { class: "muted small goaltext" }, t("whatif.goal")),
    ),
    h(
      "div",
      { class: "two even" },
      h(
        "section",
        {},
        h(
          "form",
          { onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
          h(
            "fieldset",
            {},
            h("legend", {}, t("whatif.reasons")),
            Object.keys(counted.names)
              .sort((one, other) => affected(counted, other) - affected(counted, one))
              .map((reason) =>
                h(
                  "label",
                  { class: "check", "data-key": reason },
                  h("input", {
                    type: "checkbox",
                    name: reason,
                    checked: lifted.has(reason),
                    onchange: (/** @type {any} */ event) => move(reason, event.target.checked),
                  }),
                  h(
                    "span",
                    {},
                    name(reason),
                    " ",
                    h("span", { class: "muted" }, number(affected(counted, reason), lang)),
                  ),
                ),
              ),
          ),
        ),
        h("p", {}, `${t("whatif.moved")}: ${lift.map(name).join("; ") || t("whatif.nothing")}`),
        h(
          "p",
          { class: "row" },
          h("button", { type: "button", disabled: !lift.length, onclick: () => go({ lift: null }) }, t("whatif.reset")),
        ),
        bound && h("p", { class: "muted small" }, t("whatif.bound")),
      ),
      h(
        "section",
        {},
        h("h2", {}, t("whatif.steps")),
        h("p", { class: "muted small" }, t("whatif.steps.note")),
        waterfall(counted, name),
        h("h3", {}, t("whatif.smallest")),
        kept.smallest
          ? [
              h(
                "ul",
                { id: "smallest" },
                kept.smallest.map((reason) => h("li", {}, name(reason))),
              ),
              h(
                "p",
                {},
                h("a", { class: "button", href: address({ lift: kept.smallest.join(",") }) }, t("whatif.choose")),
              ),
            ]
          : h("p", {}, t("whatif.none")),
      ),
    ),
    h(
      "p",
      { class: "muted small" },
      t("whatif.measures"),
      h("a", { href: address({ ask: "measures", lift: null }) }, t("whatif.by.measures")),
      ".",
    ),
  ];
}

/** @param {Counted} counted @param {string} reason */
const affected = (counted, reason) =>
  counted.sets.reduce((sum, each) => sum + (each.reasons.includes(reason) ? each.applications : 0), 0);

/** @param {string} reason @param {boolean} lifted */
const move = (reason, lifted) =>
  go(
    { lift: [...state().lift.filter((each) => each !== reason), ...(lifted ? [reason] : [])].join(",") || null },
    true,
  );

/** @param {Counted} counted @param {(reason: string) => string} name */
function waterfall(counted, name) {
  const { lang } = state(),
    of = counted.applications;
  let before = counted.end_to_end;
  const rows = [
    { key: "today", cells: [t("whatif.now"), rate([before, of], lang), bar(before, of), ""] },
    ...kept.steps.map(([reason, many]) => {
      const gain = many - before;
      before = many;
      return {
        key: reason,
        cells: [`− ${name(reason)}`, rate([many, of], lang), bar(many, of), `+${number((100 * gain) / of, lang, 2)}`],
      };
    }),
  ];
  return table(
    t("whatif.steps"),
    [
      { head: t("reason") },
      { head: "D1", num: true },
      { head: unseen(t("share")), cls: "bars" },
      { head: t("whatif.gain"), num: true },
    ],
    rows,
  );
}
