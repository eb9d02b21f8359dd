// Dữ liệu & API: every table to take away, what its words mean, where it comes from, what is assumed.
import { h } from "./dom.js";
import { save, token } from "./api.js";
import { NONE, number } from "./format.js";
import { state } from "./state.js";
import { nameOf, store, table as asked } from "./store.js";
import { missing, parted, period, publishedFigure, table } from "./parts.js";
import { t } from "./texts.js";

const EVIDENCE = ["A", "B", "C", "M", "D"];

export function data() {
  const path = "/scoring/rates?authority=province",
    rates = asked(path);
  return [
    h("h1", {}, t("nav.data")),
    h("p", { class: "muted" }, t("data.intro")),
    h("section", {}, h("h2", {}, t("data.tables")), tables()),
    h("section", {}, h("h2", {}, t("data.definitions")), rates ? definitions(rates) : missing(path)),
    rates && h("section", {}, h("h2", {}, t("data.figures")), figures(rates)),
    h(
      "section",
      {},
      h("h2", {}, t("data.marks")),
      h(
        "dl",
        { class: "inline" },
        EVIDENCE.map((mark) => [h("dt", {}, mark), h("dd", {}, t(`mark.${mark}`))]),
      ),
    ),
    h(
      "section",
      { id: "assumed" },
      h("h2", {}, t("data.assumed")),
      h("p", { class: "muted small" }, t("data.assumed.note")),
      assumed(),
    ),
    h(
      "section",
      {},
      h("h2", {}, t("data.cite")),
      h("p", {}, t("data.cite.text")),
      h(
        "p",
        {},
        h(
          "code",
          {},
          `${store.tick?.plan || NONE} · `,
          store.tick ? new Date(store.tick.at * 1000).toISOString() : NONE,
          ` · ${location.origin}`,
        ),
      ),
      h("h2", {}, t("data.api")),
      h("p", {}, t("data.api.text")),
      apis(),
    ),
  ];
}

/** The APIs, each with its own pages; where a token is asked for, a link would send none. */
function apis() {
  const rows = [
    ["data.api.portal", ""],
    ["data.api.scoring", "/scoring"],
    ["data.api.mock", "/mock"],
  ].map(([name, at]) => {
    const shown = token.get() ? [`${at}/openapi.json`] : [`${at}/docs`, `${at}/openapi.json`];
    return {
      key: name,
      cells: [
        t(name),
        h(
          "span",
          { class: "take" },
          shown.map((path) => h("a", { href: path }, path)),
        ),
      ],
    };
  });
  return table(t("data.api"), [{ head: t("data.api") }, { head: t("data.api.pages") }], rows);
}

function tables() {
  const { lang } = state(),
    rows = ["rates", "why"].flatMap((name) =>
      ["province", "ministry", "all"].map((by) => ({
        key: `${name}/${by}`,
        cells: [
          `${t(`data.${name}`)} · ${t("runby").toLowerCase()} ${t(`by.${by}`).toLowerCase()}`,
          links(`/scoring/${name}?authority=${by}`, `${name}-${by}`),
        ],
      })),
    );
  const places = store.facts.provinces.map((/** @type {any} */ each) => ({
    key: each.code,
    cells: [
      nameOf(each),
      links(`/scoring/rates/${each.code}?`, `rates-${each.code}`),
      links(`/scoring/why?province=${each.code}`, `why-${each.code}`),
    ],
  }));
  places.sort((/** @type {any} */ one, /** @type {any} */ other) => one.cells[0].localeCompare(other.cells[0], lang));
  return [
    table(t("data.tables"), [{ head: t("data.table") }, { head: "CSV, JSON" }], rows),
    h(
      "details",
      {},
      h("summary", {}, t("province")),
      table(t("province"), [{ head: t("province") }, { head: t("data.rates") }, { head: t("why") }], places),
    ),
  ];
}

/** @param {string} path @param {string} name */
const links = (path, name) =>
  h(
    "span",
    { class: "take" },
    ["csv", "json"].map((format) => {
      const address = `${path}${path.endsWith("?") ? "" : "&"}format=${format}`,
        file = `${name}.${format}`;
      // A link sends no token.
      return h(
        "a",
        {
          href: address,
          download: file,
          onclick: (/** @type {Event} */ event) => {
            if (token.get()) {
              event.preventDefault();
              void save(address, file);
            }
          },
        },
        format.toUpperCase(),
      );
    }),
  );

/** @param {any} rates */
const definitions = (rates) =>
  table(
    t("data.definitions"),
    [{ head: t("measure") }, { head: t("numerator") }, { head: t("denominator") }],
    Object.entries(rates.definitions).map(([name, each]) => ({ key: name, cells: [nameOf(each), ...parted(each)] })),
  );

/** @param {any} rates */
function figures(rates) {
  const rows = rates.by_authority.flatMap((/** @type {any} */ row) =>
    Object.entries(row.published).map(([name, each]) => ({
      key: `${row.key}/${name}`,
      cells: [
        `${nameOf(rates.definitions[name])} · ${nameOf(row)}`,
        publishedFigure(each),
        period(each),
        each.source,
        each.note,
      ],
    })),
  );
  return table(
    t("data.figures"),
    [
      { head: t("measure") },
      { head: t("published"), num: true },
      { head: t("time") },
      { head: t("source") },
      { head: t("note"), wide: true },
    ],
    rows,
  );
}

function assumed() {
  const { lang } = state();
  const value = (/** @type {any} */ each) =>
    typeof each === "number" ? number(each, lang, Number.isInteger(each) ? 0 : 3) : (each ?? NONE);
  return table(
    t("data.assumed"),
    [
      { head: t("measure") },
      { head: t("data.value"), num: true },
      { head: t("data.range"), num: true },
      { head: t("data.mark") },
      { head: t("data.basis") },
    ],
    store.facts.assumed.map((/** @type {any} */ each) => ({
      key: each.name,
      cells: [
        h("code", {}, each.name),
        `${value(each.value)} ${each.unit}`,
        each.low === null ? NONE : `${value(each.low)}–${value(each.high)}`,
        each.evidence,
        each.basis,
      ],
    })),
  );
}
