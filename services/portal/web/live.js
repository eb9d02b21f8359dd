// Trực tiếp: the country and its provinces as they stand, and a page for each province.
import { h } from "./dom.js";
import { NONE, collator, interval, moment, number, percent, rate, wilson } from "./format.js";
import { RANKED_FROM, legend, tileMap, timeline } from "./charts.js";
import { address, state } from "./state.js";
import { databaseName, nameOf, provinceName, rowOf, store, table as asked } from "./store.js";
import {
  about,
  choice,
  databasesTable,
  missing,
  origin,
  pairsTable,
  provinceLink,
  publishedFigure,
  reasonsTable,
  table,
  takeAway,
} from "./parts.js";
import { t } from "./texts.js";

/** @typedef {import("./store.js").Row} Row */
const FIGURES = ["d1", "d2", "paperless", "online", "on_time", "presumed"];
// The league's bars: no province has got beyond it.
const MOST = 0.4;
const OTHERS = ["d2", "paperless", "online", "on_time"];

/** @param {string} title @param {any} value @param {any[]} more */
const card = (title, value, ...more) =>
  h("div", { class: "card" }, h("h3", {}, title), h("p", { class: "big" }, value), more);

export function live() {
  const { province } = state();
  return province && provinceName(province) ? provincePage(province) : overview();
}

function overview() {
  const { lang, by, figure } = state();
  const path = `/scoring/rates?authority=${by}`,
    rates = asked(path);
  // Who runs them is what ticks are about; another selection comes as a table.
  const rows =
    by === "province" && store.rows.length ? store.rows : rates ? [rates.total, ...rates.rows].map(rowOf) : [];
  const [country, ...provinces] = rows;
  if (!country) return missing(path);
  const empty = country.n === 0;
  const published = rates?.total.published.d1;
  return [
    h("h1", { class: "unseen" }, t("nav.live")),
    empty && emptySystem(),
    h(
      "section",
      { class: "cards", "aria-label": t("country") },
      h(
        "div",
        { class: "card head" },
        h(
          "div",
          {},
          h("h2", {}, t("d1.head")),
          h("p", { class: "huge", id: "d1" }, rate(country.rates.d1, lang)),
          h("p", { id: "d1-parts" }, `${number(country.rates.d1[0], lang)} / ${number(country.rates.d1[1], lang)}`),
          h(
            "p",
            { class: "muted" },
            `95 %: ${interval(country.rates.d1, lang)}. ${t("runby")}: ${t(`by.${by}`).toLowerCase()}`,
          ),
        ),
        h(
          "div",
          {},
          h("h2", {}, t("published")),
          published
            ? [
                h("p", { class: "big published" }, percent(published.value, lang), ` [${published.evidence}]`),
                h("p", { class: "muted" }, about(published)),
              ]
            : h("p", { class: "muted" }, t("published.none")),
        ),
        by === "province" &&
          rates?.country_d1?.value != null &&
          h(
            "p",
            { class: "mix small" },
            `${t("mix")}: `,
            h("strong", {}, percent(store.tick?.country ?? rates.country_d1.value, lang)),
            ` (${t("published").toLowerCase()}: `,
            publishedFigure(rates.country_d1.published),
            ")",
          ),
        origin(rates?.definitions.d1, published),
      ),
      flowCards(country),
    ),
    h(
      "div",
      { class: "controls" },
      choice(
        "by",
        t("by"),
        by,
        ["province", "ministry", "all"].map((each) => [each, t(`by.${each}`)]),
      ),
      choice(
        "figure",
        t("map.figure"),
        figure,
        FIGURES.map((each) => [each, t(each)]),
      ),
      choice(
        "sort",
        t("sort"),
        state().sort,
        ["rank", "name", "applications"].map((each) => [each, t(`sort.${each}`)]),
      ),
    ),
    h(
      "div",
      { class: "two" },
      h(
        "section",
        { "aria-labelledby": "map-head" },
        h("h2", { id: "map-head" }, `${t("map")}: ${t(`short.${figure}`)}`),
        tileMap(provinces, figure, ""),
        legend(figure),
        h("p", { class: "muted small" }, t("map.caption")),
      ),
      h(
        "section",
        { "aria-labelledby": "league-head" },
        h("h2", { id: "league-head" }, t("league")),
        h("p", { class: "muted small" }, t("league.note"), published ? publishedFigure(published) : NONE),
        league(provinces, published?.value ?? null),
        takeAway(path),
      ),
    ),
    whySection(`/scoring/why?authority=${by}`),
    h(
      "section",
      { "aria-labelledby": "time-head" },
      h("h2", { id: "time-head" }, t("timeline")),
      h("p", { class: "muted small" }, t("timeline.note")),
      timeline(chartWidth()),
    ),
    rates && authorities(rates),
  ];
}

const chartWidth = () => Math.max(300, Math.min(1400, (document.getElementById("main")?.clientWidth ?? 1200) - 34));

function emptySystem() {
  return h(
    "section",
    { class: "notice" },
    h("h2", {}, t("empty.head")),
    h("p", {}, t("empty.do")),
    h(
      "p",
      {},
      h("code", {}, "paperless send --applications 5000"),
      " · ",
      h("a", { href: address({ view: "file" }) }, t("nav.file")),
    ),
  );
}

/** @param {Row} country */
function flowCards(country) {
  const { lang } = state(),
    { tick } = store,
    flow = tick?.flow;
  const count = (/** @type {number | undefined} */ value, digits = 0) =>
    value === undefined ? NONE : number(value, lang, digits);
  const share = (/** @type {string} */ name) =>
    card(
      t(name),
      rate(country.rates[name], lang),
      h("p", { class: "muted" }, `${number(country.rates[name][0], lang)} / ${number(country.rates[name][1], lang)}`),
    );
  return [
    card(t("per_s"), count(tick?.per_s), h("p", { class: "muted" }, t("per_s.unit"))),
    card(t("open"), count(flow?.open), h("p", { class: "muted" }, t("open.unit"))),
    card(t("lag"), count(flow?.lag), h("p", { class: "muted" }, t("lag.unit"))),
    share("presumed"),
    card(t("overruled"), count(flow?.overruled), h("p", { class: "muted" }, t("since_start"))),
    card(t("dead_letters"), count(flow?.dead_letters), h("p", { class: "muted" }, t("since_start"))),
    share("online"),
    share("on_time"),
  ];
}

/** @param {Row[]} rows @param {number | null} published */
function league(rows, published) {
  const { lang, sort } = state(),
    compare = collator(lang),
    seen = rows.filter((row) => row.n);
  if (sort === "name") seen.sort((one, other) => compare(provinceName(one.key), provinceName(other.key)));
  if (sort === "applications") seen.sort((one, other) => other.n - one.n);
  const columns = [
    { head: t("rank"), num: true },
    { head: t("place"), cls: "name" },
    { head: "D1", num: true },
    { head: `0–${number(100 * MOST, lang)} %`, cls: "bars" },
    { head: t("interval"), num: true, wide: true },
    { head: t("applications"), num: true },
    ...OTHERS.map((name) => ({
      head: t(`short.${name}`),
      num: true,
      wide: true,
      cls: name === "paperless" || name === "on_time" ? "wider" : "",
    })),
  ];
  return table(
    t("league"),
    columns,
    seen.map((row) => ({
      key: row.key,
      cls: row.n < RANKED_FROM ? "few" : "",
      cells: [
        row.rank ?? NONE,
        provinceLink(row.key),
        rate(row.rates.d1, lang),
        whisker(row.rates.d1, published),
        interval(row.rates.d1, lang),
        number(row.n, lang),
        ...OTHERS.map((name) => rate(row.rates[name], lang)),
      ],
    })),
  );
}

/**
 * D1 as a bar, its interval as a thin one, the published figure as a line.
 * @param {number[]} pair
 * @param {number | null} published
 */
function whisker([numerator, denominator], published) {
  const [low, high] = wilson(numerator, denominator),
    at = (/** @type {number} */ share) => `${Math.min(100, (100 * share) / MOST)}%`;
  return h(
    "span",
    { class: "bar whisker", "aria-hidden": "true" },
    h("span", { style: { width: at(numerator / denominator) } }),
    h("i", {
      class: "span",
      style: { left: at(low), width: `${Math.max(0, Math.min(100, (100 * high) / MOST) - (100 * low) / MOST)}%` },
    }),
    published !== null && h("i", { class: "published", style: { left: at(published) } }),
  );
}

/** @param {string} path */
function whySection(path) {
  const why = asked(path);
  return h(
    "section",
    { "aria-labelledby": "why-head" },
    h("h2", { id: "why-head" }, t("why")),
    h("p", { class: "muted small" }, t("why.note")),
    why
      ? [
          h(
            "div",
            { class: "two even" },
            h("div", {}, reasonsTable(why), takeAway(path)),
            h("div", {}, pairsTable(why)),
          ),
          why.databases.length > 0 && [
            h("h3", {}, t("databases")),
            h("p", { class: "muted small" }, t("databases.note")),
            databasesTable(why),
          ],
        ]
      : missing(path),
  );
}

/** @param {any} rates */
function authorities(rates) {
  const { lang } = state();
  const rows = rates.by_authority.map(groupRow);
  const mix = rates.country_d1;
  if (mix && mix.value !== null)
    rows.push({
      key: "mix",
      cells: [t("mix"), "", percent(store.tick?.country ?? mix.value, lang), "", publishedFigure(mix.published), ""],
    });
  return h(
    "section",
    { "aria-labelledby": "authority-head" },
    h("h2", { id: "authority-head" }, t("authority")),
    table(
      t("authority"),
      [
        { head: t("runby") },
        { head: t("applications"), num: true },
        { head: "D1", num: true },
        { head: t("interval"), num: true, wide: true },
        { head: t("published"), num: true },
        { head: "D2", num: true, wide: true },
      ],
      rows,
    ),
    h("p", { class: "muted small" }, t("mix.note")),
  );
}

/** @param {string} code */
function provincePage(code) {
  const { lang } = state(),
    path = `/scoring/rates/${code}`,
    rates = asked(path),
    whyPath = `/scoring/why?province=${code}`,
    why = asked(whyPath);
  const row = store.rows.find((each) => each.key === code);
  return [
    h("p", {}, h("a", { href: address({ province: null }) }, `← ${t("back")}`)),
    h("h1", {}, provinceName(code)),
    h("p", { class: "notice small" }, t("province.caution")),
    row &&
      h(
        "section",
        { class: "cards", "aria-label": provinceName(code) },
        h(
          "div",
          { class: "card head low" },
          h(
            "div",
            {},
            h("h2", {}, t("d1.head")),
            h("p", { class: "huge" }, rate(row.rates.d1, lang)),
            h("p", {}, `${number(row.rates.d1[0], lang)} / ${number(row.n, lang)}`),
            h(
              "p",
              { class: "muted" },
              row.rank ? `${t("ranked")} ${row.rank} · 95 %: ${interval(row.rates.d1, lang)}` : t("unranked"),
            ),
          ),
          h(
            "div",
            {},
            h("h2", {}, t("country")),
            h("p", { class: "big" }, rate(store.rows[0].rates.d1, lang)),
            h("p", { class: "muted" }, `${t("runby")}: ${t("by.province").toLowerCase()}`),
          ),
        ),
        ["d2", "paperless", "online", "on_time", "presumed"].map((name) =>
          card(
            t(name),
            rate(row.rates[name], lang),
            h("p", { class: "muted" }, `${number(row.rates[name][0], lang)} / ${number(row.rates[name][1], lang)}`),
          ),
        ),
      ),
    whySection(whyPath),
    why &&
      why.components.length > 0 &&
      h(
        "section",
        {},
        h("h2", {}, t("components")),
        table(
          t("components"),
          [
            { head: t("components") },
            { head: t("cause") },
            { head: t("databases") },
            { head: t("applications"), num: true },
            { head: t("blocking"), num: true },
            { head: t("alone"), num: true },
          ],
          why.components
            .slice(0, 15)
            .map((/** @type {any} */ each) => ({
              key: `${each.procedure}/${each.component}/${each.cause}/${each.database}`,
              cells: [
                nameOf(each),
                t(each.cause),
                each.database ? databaseName(each.database) : NONE,
                number(each.applications, lang),
                number(each.blocking, lang),
                number(each.alone, lang),
              ],
            })),
        ),
      ),
    h(
      "section",
      {},
      h("h2", {}, t("authority")),
      rates
        ? [
            groups(t("runby"), rates.by_authority),
            h("h2", {}, t("months")),
            months(code, rates.by_month),
            h("h2", {}, t("procedures")),
            groups(t("procedure"), rates.by_procedure),
            takeAway(path),
          ]
        : missing(path),
    ),
  ];
}

const PUBLICATIONS = "/scoring/publications";
/** The tables of published months that a province's page shows. */
export const publishedMonths = () => [
  PUBLICATIONS,
  ...(asked(PUBLICATIONS) ?? []).map((/** @type {any} */ each) => `${PUBLICATIONS}/${each.month}`),
];

/** Months as they are now, and as they were published. @param {string} code @param {any[]} rows */
function months(code, rows) {
  const { lang } = state(),
    published = asked(PUBLICATIONS);
  if (!published) return missing(PUBLICATIONS);
  const cells = (/** @type {any} */ each) => {
    const summary = published.find((/** @type {any} */ one) => one.month === each.key);
    const now = [
      nameOf(each),
      number(each.applications, lang),
      rate(rowOf(each).rates.d1, lang),
      interval(rowOf(each).rates.d1, lang),
    ];
    if (!summary) return [...now, t("months.none"), NONE, NONE];
    const month = asked(`${PUBLICATIONS}/${each.key}`);
    if (!month) return [...now, moment(summary.published_at, lang), missing(`${PUBLICATIONS}/${each.key}`), NONE];
    // Whoever ran them, as the first D1: where nothing was restated, it is what was published.
    const change = month.restatements.find((/** @type {any} */ one) => one.province === code);
    const frozen = change ? rate([change.published.end_to_end, change.published.applications], lang) : now[2];
    return [...now, moment(summary.published_at, lang), frozen, change ? restated(change) : t("months.same")];
  };
  return [
    table(
      t("months"),
      [
        { head: t("month") },
        { head: t("applications"), num: true },
        { head: "D1", num: true },
        { head: t("interval"), num: true, wide: true },
        { head: t("months.at") },
        { head: t("months.as"), num: true },
        { head: t("months.restated") },
      ],
      rows.map((each) => ({ key: each.key, cells: cells(each) })),
    ),
    h("p", { class: "muted small" }, t("months.note"), h("code", {}, "paperless publish --month 2025-10")),
  ];
}

/** @param {any} change */
function restated({ published, restated: now, d1_points: points }) {
  const { lang } = state(),
    sign = (/** @type {number} */ value) => (value < 0 ? "−" : "+"),
    more = now.applications - published.applications;
  const moved = points === null ? NONE : `${sign(points)}${number(Math.abs(points), lang, 2)}`;
  const arrived = `${sign(more)}${number(Math.abs(more), lang)} ${t("applications").toLowerCase()}`;
  return `${moved} ${t("whatif.gain")}; ${arrived}`;
}

/** @param {string} head @param {any[]} rows */
function groups(head, rows) {
  return table(
    head,
    [
      { head },
      { head: t("applications"), num: true },
      { head: "D1", num: true },
      { head: t("interval"), num: true, wide: true },
      { head: t("published"), num: true },
      { head: "D2", num: true },
    ],
    rows.map(groupRow),
  );
}

/** @param {any} each a row of the API's tables */
function groupRow(each) {
  const { lang } = state(),
    { rates } = rowOf(each);
  return {
    key: each.key,
    cells: [
      nameOf(each),
      number(each.applications, lang),
      rate(rates.d1, lang),
      interval(rates.d1, lang),
      publishedFigure(each.published.d1),
      rate(rates.d2, lang),
    ],
  };
}
