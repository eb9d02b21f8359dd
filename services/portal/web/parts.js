// What several views show: tables, bars, figures with their origin.
import { h } from "./dom.js";
import { NONE, day, number, percent, rate } from "./format.js";
import { address, go, state } from "./state.js";
import { nameOf, provinceName, store } from "./store.js";
import { maybe, t } from "./texts.js";

/** @typedef {import("./store.js").Row} Row */
/** @typedef {{head: any, num?: boolean, wide?: boolean, cls?: string}} Column */

/**
 * A table that scrolls by itself where it is too wide, with a caption for who does not see it.
 * @param {string} caption @param {Column[]} columns @param {{key?: string, cells: any[], cls?: string}[]} rows
 */
export function table(caption, columns, rows) {
  const cls = (/** @type {Column} */ column) =>
    [column.num && "num", column.wide && "wide", column.cls].filter(Boolean).join(" ") || null;
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) => h("th", { scope: "col", class: cls(column) }, column.head)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            { "data-key": row.key, class: row.cls },
            row.cells.map((cell, at) =>
              h(at === 0 ? "th" : "td", { class: cls(columns[at]), scope: at === 0 ? "row" : null }, cell),
            ),
          ),
        ),
      ),
    ),
  );
}

/** A word for who does not see what stands below it. @param {string} text */
export const unseen = (text) => h("span", { class: "unseen" }, text);

/** A bar from 0 to `most`. @param {number} value @param {number} most */
export const bar = (value, most) =>
  h(
    "span",
    { class: "bar", "aria-hidden": "true" },
    h("span", { style: { width: `${Math.min(100, (100 * value) / (most || 1))}%` } }),
  );

/** A link to a province's page. @param {string} code */
export const provinceLink = (code) => h("a", { href: address({ view: "live", province: code }) }, provinceName(code));

/** @param {any} published */
export function publishedFigure(published) {
  if (!published) return NONE;
  return h("span", { class: "published" }, percent(published.value, state().lang), ` [${published.evidence}]`);
}

/** Over what days a published figure is counted. @param {any} published */
export function period(published) {
  const { lang } = state();
  const days = [published.period_start, published.period_end].filter(Boolean);
  return days.map((each) => day(each, lang)).join("–");
}

/** Whom a published figure is about, and when. @param {any} published */
export const about = (published) => `${maybe(`about.${published.about}`)}, ${period(published)}`;

/** Numerator and denominator in words. @param {any} definition */
export const parted = (definition) =>
  state().lang === "vi"
    ? [definition.numerator_vi, definition.denominator_vi]
    : [definition.numerator, definition.denominator];

/** Definition, source and the table to take away, below a figure. @param {any} definition @param {any} [published] */
export function origin(definition, published) {
  if (!definition) return null;
  return h(
    "details",
    { class: "origin" },
    h("summary", {}, t("definition")),
    h(
      "dl",
      {},
      h("dt", {}, nameOf(definition)),
      h("dd", {}, `${t("numerator")}: ${parted(definition)[0]}. ${t("denominator")}: ${parted(definition)[1]}.`),
      published && [
        h("dt", {}, t("published")),
        h("dd", {}, about(published), ". ", t("source"), ": ", published.source, ". ", published.note),
      ],
    ),
  );
}

/** Links to a table in both forms. @param {string} path below /scoring */
export const takeAway = (path) =>
  h(
    "p",
    { class: "take" },
    ["csv", "json"].map((format) =>
      h(
        "a",
        {
          href: `${path}${path.includes("?") ? "&" : "?"}format=${format}`,
          download: `${path.split("?")[0].split("/").filter(Boolean).slice(1).join("-")}.${format}`,
        },
        format.toUpperCase(),
      ),
    ),
  );

/**
 * @param {string} name
 * @param {string} label
 * @param {string} value
 * @param {[string, string][]} options value and text
 */
export const choice = (name, label, value, options) =>
  h(
    "label",
    { class: "choice" },
    h("span", {}, label),
    h(
      "select",
      { name, onchange: (/** @type {any} */ event) => go({ [name]: event.target.value }, true) },
      options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)),
    ),
  );

/** Why a table is not here. @param {string} path */
export const missing = (path) =>
  h("p", { class: store.refused.has(path) ? "bad" : "muted" }, store.refused.get(path) ?? t("loading"));

/** @param {any} why the answer of /why */
export function reasonsTable(why) {
  const { lang } = state(),
    most = Math.max(...why.reasons.map((/** @type {any} */ each) => each.applications), 1);
  if (!why.reasons.length) return h("p", { class: "muted" }, t("why.none"));
  return table(
    t("why"),
    [
      { head: t("reason") },
      { head: t("applications"), num: true },
      { head: unseen(t("share")), wide: true, cls: "bars" },
      { head: t("alone"), num: true },
      { head: t("lifted"), num: true },
    ],
    why.reasons.map((/** @type {any} */ each) => ({
      key: each.reason,
      cells: [
        nameOf(each),
        number(each.applications, lang),
        bar(each.applications, most),
        number(each.alone, lang),
        lifted(each),
      ],
    })),
  );
}

/** @param {any} row */
export function lifted(row) {
  const { numerator, denominator } = row.d1_if_lifted;
  return (row.upper_bound ? "≤\u00a0" : "") + rate([numerator, denominator], state().lang);
}

/** @param {any} why */
export function pairsTable(why) {
  const names = Object.fromEntries(why.reasons.map((/** @type {any} */ each) => [each.reason, nameOf(each)]));
  if (!why.pairs.length) return null;
  return table(
    t("pairs"),
    [{ head: t("pairs") }, { head: t("lifted"), num: true }],
    why.pairs.map((/** @type {any} */ each) => ({
      key: each.reasons.join("+"),
      cells: [each.reasons.map((/** @type {string} */ one) => names[one]).join(" + "), lifted(each)],
    })),
  );
}

/** @param {any} why */
export function databasesTable(why) {
  const { lang } = state(),
    counts = ["found", "missing", "mismatch", "refused", "unreachable", "blocking", "alone"];
  if (!why.databases.length) return null;
  return table(
    t("databases"),
    [
      { head: t("databases") },
      ...counts.map((name) => ({
        head: t(name),
        num: true,
        wide: name === "mismatch" || name === "refused" || name === "alone",
      })),
    ],
    why.databases.map((/** @type {any} */ each) => ({
      key: each.database,
      cells: [nameOf(each), ...counts.map((name) => number(each[name], lang))],
    })),
  );
}
