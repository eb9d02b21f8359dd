// What if by measures: levers as sliders, answered by the planner from a simulated day, application by application.
import { h } from "./dom.js";
import { collator, number, percent } from "./format.js";
import { latestAnswer, move, question, setting, told } from "./planner.js";
import { address, go, settingText, state } from "./state.js";
import { provinceName, store } from "./store.js";
import { bar, table, unseen } from "./parts.js";
import { t } from "./texts.js";

/** @typedef {import("./planner.js").Told} Told */
/**
 * @typedef {{name: string, whole: boolean, source: string, evidence: string, cost: number} & Record<string, any>} Lever
 */
/** @typedef {{levers: string[], d1: number, cost: number, steps: number[]}} Way */
const GOAL = 0.8;

/** @param {any} named @param {string} what */
const text = (named, what) => named[`${what}_${state().lang}`];

export function measures() {
  const { value: listed, refused } = told("/planner/levers");
  if (refused !== undefined) return [away(refused)];
  if (!listed) return [h("p", { class: "muted" }, t("loading"))];
  const found = latestAnswer(),
    gains = told(question("target", {}));
  if (found.refused !== undefined) return [away(found.refused), h("p", {}, reset())];
  return [
    h(
      "div",
      { class: "measures" },
      h("div", { class: "side" }, result(found), moved(listed.levers)),
      h(
        "form",
        { class: "levers", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
        h("h2", {}, t("whatif.levers")),
        h("p", { class: "muted small" }, t("whatif.levers.note")),
        listed.levers.map((/** @type {Lever} */ each) => lever(each, gains.value?.gains)),
      ),
    ),
    h(
      "div",
      { class: "two even" },
      h(
        "section",
        { "aria-labelledby": "way-head" },
        h("h2", { id: "way-head" }, t("whatif.steps")),
        ways(gains, listed.levers),
      ),
      h("section", {}, h("h2", {}, t("whatif.band")), band(), h("h2", {}, t("whatif.play")), again(listed.plays)),
    ),
    found.value && [provinces(found.value), caveats(found.value)],
  ];
}

/** @param {string} why */
const away = (why) =>
  h(
    "div",
    { class: "notice" },
    h("p", { class: "bad" }, why),
    h("p", {}, t("whatif.away"), " ", h("a", { href: address({ ask: "reasons" }) }, t("whatif.by.reasons")), "."),
  );

/** What is shown while an answer is worked on. @param {Told} one */
const working = (one) =>
  h(
    "p",
    { class: "muted", role: "status" },
    one.since === undefined ? t("loading") : `${t("whatif.drawing")} ${number(one.since, state().lang)} s`,
  );

/** @param {Told & {late: boolean}} found */
function result(found) {
  const { lang, by } = state();
  if (!found.value) return h("section", { class: "result", "aria-label": t("whatif.then.measures") }, working(found));
  const { base, d1, applications, noise_points: noise } = found.value.rates[by];
  const spread = state().band ? told(bandPath()).value?.d1 : null;
  const gain = 100 * (d1 - base),
    days = found.value.seeds.length;
  return h(
    "section",
    { class: `result${found.late ? " late" : ""}`, "aria-label": t("whatif.then.measures") },
    h("div", {}, h("h2", {}, t("whatif.now.measures")), h("p", { class: "big", id: "base" }, percent(base, lang))),
    h(
      "div",
      {},
      h("h2", {}, t("whatif.then.measures")),
      h("p", { class: "huge", id: "d1-set" }, percent(d1, lang)),
      h("p", { class: "muted" }, `${gain < 0 ? "−" : "+"}${number(Math.abs(gain), lang, 2)} ${t("whatif.gain")}`),
    ),
    h(
      "div",
      { class: "goal", role: "img", "aria-label": `${percent(d1, lang)}, ${t("whatif.goal")}` },
      h("span", { style: { width: `${100 * d1}%` } }),
      spread && h("b", { style: { left: `${100 * spread.low}%`, width: `${100 * (spread.high - spread.low)}%` } }),
      h("i", { style: { left: `${100 * GOAL}%` } }),
    ),
    h("p", { class: "muted small goaltext" }, t("whatif.goal")),
    h(
      "p",
      { class: "muted small" },
      t("whatif.day"),
      `${found.value.scenario}, ${found.value.plan}, ${number(days, lang)} seed, `,
      `${number(applications, lang)} ${t("applications").toLowerCase()}, `,
      `± ${number(noise, lang, 2)} ${t("whatif.noise")}`,
    ),
  );
}

/** @param {Lever} each @param {{name: string, alone: number}[] | undefined} gains */
function lever(each, gains) {
  const { lang } = state(),
    value = setting()[each.name] ?? 0,
    alone = gains?.find((one) => one.name === each.name)?.alone;
  const told = h(
    "output",
    { for: `lever-${each.name}`, class: "num" },
    each.whole ? t(value ? "whatif.taken" : "whatif.not") : percent(value, lang, 0),
  );
  const input = each.whole
    ? h("input", {
        id: `lever-${each.name}`,
        name: each.name,
        type: "checkbox",
        checked: value === 1,
        onchange: (/** @type {any} */ event) => move(each.name, event.target.checked ? 1 : 0),
      })
    : h("input", {
        id: `lever-${each.name}`,
        name: each.name,
        type: "range",
        min: 0,
        max: 100,
        step: 1,
        value: Math.round(100 * value),
        "aria-valuetext": `${percent(value, lang, 0)}. 100 %: ${text(each, "best")}`,
        oninput: (/** @type {any} */ event) => move(each.name, Number(event.target.value) / 100),
      });
  return h(
    "div",
    { class: `lever${value ? " moved" : ""}`, "data-key": each.name },
    h("label", { for: `lever-${each.name}` }, text(each, "name")),
    told,
    input,
    h(
      "p",
      { class: "muted small" },
      each.whole ? "" : "100 %: ",
      `${text(each, "best")}.`,
      alone !== undefined &&
        ` ${t("whatif.alone")} ${alone < 0 ? "−" : "+"}${number(Math.abs(alone), lang, 2)} ${t("whatif.gain")}.`,
    ),
    h(
      "details",
      { class: "small" },
      h("summary", {}, `${t("source")} [${each.evidence}]`),
      h(
        "p",
        {},
        `${each.source}. ${t("whatif.owner")}: ${text(each, "owner")}. `,
        `${t("whatif.cost")}: ${number(each.cost, lang, 1)}.`,
      ),
    ),
  );
}

const reset = () =>
  h(
    "button",
    { type: "button", disabled: !settingText(setting()), onclick: () => go({ set: null }) },
    t("whatif.reset"),
  );

/** The question of now as a command. */
function command() {
  const { province, by } = state(),
    levers = Object.entries(setting()).filter(([, value]) => value);
  return [
    "paperless whatif",
    ...levers.map(([name, value]) => `--lever ${name}=${value}`),
    province && `--province ${province}`,
    by !== "province" && `--authority ${by}`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** @param {Lever[]} levers */
function moved(levers) {
  const { lang } = state(),
    now = setting(),
    list = levers.filter((each) => now[each.name]);
  return h(
    "section",
    { class: "moved-list", "aria-labelledby": "moved-head" },
    h("h2", { id: "moved-head" }, t("whatif.moved.measures")),
    list.length
      ? h(
          "ul",
          { id: "moved" },
          list.map((each) =>
            h(
              "li",
              { "data-key": each.name },
              `${text(each, "name")}: ${each.whole ? t("whatif.taken") : percent(now[each.name], lang, 0)}`,
            ),
          ),
        )
      : h("p", { class: "muted" }, t("whatif.nothing.measures")),
    h(
      "p",
      { class: "row" },
      reset(),
      h("a", { id: "link", href: address({ set: settingText(now) }) }, t("whatif.link")),
    ),
    h("details", { class: "small" }, h("summary", {}, t("whatif.command")), h("p", {}, h("code", {}, command()))),
  );
}

/** @param {Told} gains @param {Lever[]} levers */
function ways(gains, levers) {
  const { lang, by } = state(),
    target = gains.value?.target,
    base = latestAnswer().value?.rates[by].base;
  if (gains.refused !== undefined) return h("p", { class: "bad" }, gains.refused);
  if (!target || base === undefined) return working(gains);
  const name = (/** @type {string} */ slug) =>
    text(
      levers.find((each) => each.name === slug),
      "name",
    );
  const ceiling = h(
    "p",
    { class: "muted small" },
    `${t("whatif.ceiling")} ${percent(target.ceiling, lang)}; `,
    `${t("whatif.ceiling.procedures")} ${percent(target.ceiling_without_procedures, lang)}.`,
  );
  if (!target.smallest) return [h("p", {}, t("whatif.none.measures")), ceiling];
  const choose = (/** @type {Way} */ way) =>
    h(
      "a",
      { class: "button", href: address({ set: settingText(Object.fromEntries(way.levers.map((each) => [each, 1]))) }) },
      t("whatif.choose"),
    );
  const summary = (/** @type {Way} */ way) =>
    `${percent(way.d1, lang)}, ${t("whatif.cost").toLowerCase()}: ${number(way.cost, lang, 1)}`;
  return [
    h("h3", {}, t("whatif.smallest")),
    waterfall(base, target.smallest, name),
    h("p", { class: "row" }, choose(target.smallest), h("span", { class: "muted small" }, summary(target.smallest))),
    h("h3", {}, t("whatif.cheapest")),
    h("p", { id: "cheapest" }, target.cheapest.levers.map(name).join("; ")),
    h("p", { class: "row" }, choose(target.cheapest), h("span", { class: "muted small" }, summary(target.cheapest))),
    ceiling,
  ];
}

/** @param {number} base @param {Way} way @param {(slug: string) => string} name */
function waterfall(base, way, name) {
  const { lang } = state();
  const rows = way.levers.map((slug, at) => {
    const before = at ? way.steps[at - 1] : base;
    return {
      key: slug,
      cells: [
        name(slug),
        percent(way.steps[at], lang),
        bar(way.steps[at], 1),
        `+${number(100 * (way.steps[at] - before), lang, 2)}`,
      ],
    };
  });
  return table(
    t("whatif.smallest"),
    [
      { head: t("whatif.lever") },
      { head: "D1", num: true },
      { head: unseen(t("share")), cls: "bars" },
      { head: t("whatif.gain"), num: true },
    ],
    [{ key: "today", cells: [t("whatif.now.measures"), percent(base, lang), bar(base, 1), ""] }, ...rows],
  );
}

const bandPath = () => question("uncertainty", state().set);

function band() {
  const { lang } = state();
  const note = h("p", { class: "muted small" }, t("whatif.band.note"));
  if (!state().band)
    return [
      note,
      h("button", { type: "button", id: "ask-band", onclick: () => go({ band: "1" }, true) }, t("whatif.band.ask")),
    ];
  const one = told(bandPath()),
    spread = one.value;
  if (one.refused !== undefined) return [note, h("p", { class: "bad" }, one.refused)];
  if (!spread) return [note, working(one)];
  const span = (/** @type {{low: number, high: number}} */ each) =>
    `${percent(each.low, lang)} – ${percent(each.high, lang)}`;
  const unknowns = spread.unknowns
    .slice(0, 3)
    .map((/** @type {any} */ each) => [each.parameter, number(each.d1_points, lang, 1)]);
  return [
    note,
    h(
      "dl",
      { class: "inline", id: "band" },
      h("dt", {}, t("whatif.now.measures")),
      h("dd", {}, span(spread.base)),
      h("dt", {}, t("whatif.then.measures")),
      h("dd", { id: "band-d1" }, span(spread.d1)),
      h("dt", {}, t("whatif.band.gain")),
      h("dd", {}, `${number(spread.gain.low, lang, 2)} – ${number(spread.gain.high, lang, 2)} ${t("whatif.gain")}`),
      spread.reaches !== null && [h("dt", {}, t("whatif.band.reaches")), h("dd", {}, percent(spread.reaches, lang, 0))],
    ),
    h(
      "p",
      { class: "small" },
      `${number(spread.draws, lang)} ${t("whatif.band.draws")} `,
      unknowns.map((/** @type {string[]} */ [slug, points], /** @type {number} */ at) => [
        at ? ", " : "",
        h("code", {}, slug),
        ` ${points}`,
      ]),
      ".",
    ),
    h("button", { type: "button", onclick: () => go({ band: null }, true) }, t("whatif.band.hide")),
  ];
}

/** @type {Set<string>} settings that somebody wanted played: it starts a system, so no link does */
const wanted = new Set();

/** @param {boolean} plays whether the planner can */
function again(plays) {
  const { lang } = state(),
    path = question("play", state().set);
  const note = h("p", { class: "muted small" }, t("whatif.play.note"));
  if (!plays) return [note, h("p", {}, t("whatif.play.command"), " ", h("code", {}, `${command()} --play`))];
  const button = h(
    "button",
    {
      type: "button",
      id: "play",
      onclick: () => {
        wanted.add(path);
        told(path, "POST");
        store.changed();
      },
    },
    t("whatif.play.ask"),
  );
  if (!wanted.has(path)) return [note, button];
  const one = told(path, "POST"),
    found = one.value;
  if (one.refused !== undefined) {
    wanted.delete(path);
    return [note, h("p", { class: "bad", role: "alert" }, one.refused), button];
  }
  if (!found)
    return [
      note,
      h("p", { class: "muted", role: "status" }, `${t("whatif.play.wait")} ${number(one.since ?? 0, lang)} s`),
    ];
  const outcomes = Object.entries(found.outcomes).map(([outcome, each]) => ({
    key: outcome,
    cells: [t(`outcome.${outcome}`), number(each.predicted, lang), number(each.services, lang)],
  }));
  return [
    note,
    h(
      "p",
      { id: "played", class: found.equal ? "" : "bad" },
      h(
        "strong",
        {},
        found.equal ? t("whatif.play.equal") : `${t("whatif.play.differ")} ${number(found.differing, lang)}`,
      ),
      ` (${number(found.applications, lang)} ${t("applications").toLowerCase()})`,
    ),
    table(
      t("whatif.play"),
      [
        { head: t("outcome") },
        { head: t("whatif.play.predicted"), num: true },
        { head: t("whatif.play.services"), num: true },
      ],
      outcomes,
    ),
  ];
}

/** @param {any} found */
function provinces(found) {
  const { lang, by } = state();
  if (found.place || by === "ministry") return null;
  const rows = found.provinces.map((/** @type {any} */ each) => [each.code, each[by]]);
  rows.sort(
    (/** @type {any} */ one, /** @type {any} */ other) =>
      other[1].d1 - other[1].base - (one[1].d1 - one[1].base) ||
      collator(lang)(provinceName(one[0]), provinceName(other[0])),
  );
  return h(
    "details",
    {},
    h("summary", {}, t("whatif.provinces")),
    table(
      t("whatif.provinces"),
      [
        { head: t("place") },
        { head: t("whatif.now.measures"), num: true },
        { head: t("whatif.then.measures"), num: true },
        { head: t("whatif.gain"), num: true },
      ],
      rows.map((/** @type {[string, any]} */ [code, each]) => ({
        key: code,
        cells: [
          h("a", { href: address({ province: code }) }, provinceName(code)),
          percent(each.base, lang),
          percent(each.d1, lang),
          number(100 * (each.d1 - each.base), lang, 2),
        ],
      })),
    ),
  );
}

/** @param {any} found */
const caveats = (found) =>
  h(
    "section",
    { class: "small muted" },
    h("h2", {}, t("whatif.caveats")),
    h(
      "ul",
      {},
      found.caveats.map((/** @type {any} */ each) => h("li", { "data-key": each.name }, each[state().lang])),
    ),
  );
