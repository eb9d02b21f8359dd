// The tile map and the time line: plain grid and SVG, each with a twin in text.
import { h, s } from "./dom.js";
import { NONE, clock, number, percent, rate } from "./format.js";
import { address, state } from "./state.js";
import { databaseName, nameOf, provinceName, store } from "./store.js";
import { table } from "./parts.js";
import { maybe, t } from "./texts.js";

/** @typedef {import("./store.js").Row} Row */
export const RANKED_FROM = 100;
/**
 * @type {Record<string, number[]>} lower bounds in per cent of the classes after the first: fixed, so that no colour
 * jumps
 */
const CLASSES = {
  d1: [10, 13, 16, 19, 22],
  d2: [35, 42, 49, 56, 63],
  paperless: [12, 16, 20, 24, 28],
  online: [60, 68, 76, 84, 92],
  on_time: [90, 93, 95, 97, 99],
  presumed: [0.1, 0.5, 1, 5, 20],
};
// Islands that belong to a province on the mainland.
const ISLANDS = /** @type {const} */ ([
  ["Hoàng Sa", "48", 9, 6],
  ["Trường Sa", "56", 14, 6],
]);

/** @param {string} figure @param {number[]} pair */
export function classOf(figure, [numerator, denominator]) {
  if (!denominator) return "none";
  const value = (100 * numerator) / denominator;
  return String(CLASSES[figure].filter((bound) => value >= bound).length);
}

/** @param {Row[]} rows provinces @param {string} figure @param {string} chosen code whose tile has the tab stop */
export function tileMap(rows, figure, chosen) {
  const { lang } = state(),
    byCode = new Map(rows.map((row) => [row.key, row])),
    stop = chosen || "01";
  const tiles = store.facts.provinces.map((/** @type {any} */ place) => {
    const row = byCode.get(place.code),
      pair = row?.rates[figure] ?? [0, 0],
      few = !row || row.n < RANKED_FROM;
    return h(
      "a",
      {
        "data-key": place.code,
        class: `tile c${classOf(figure, pair)}${few ? " few" : ""}`,
        href: address({ view: "live", province: place.code }),
        tabindex: place.code === stop ? 0 : -1,
        style: { "grid-row": place.row + 1, "grid-column": place.col + 1 },
        "data-row": place.row,
        "data-col": place.col,
        onkeydown: walk,
        "aria-label":
          `${nameOf(place)}: ${t(`short.${figure}`)} ${rate(pair, lang)}, ` +
          `${number(row?.n ?? 0, lang)} ${t("applications").toLowerCase()}`,
      },
      h("span", { class: "name" }, nameOf(place)),
      h("span", { class: "value" }, pair[1] ? percent(pair[0] / pair[1], lang, 1) : NONE),
    );
  });
  return h(
    "div",
    { class: "map", role: "group", "aria-label": `${t("map")}: ${t(figure)}. ${t("map.keys")}` },
    tiles,
    ISLANDS.map(([name, code, row, column]) =>
      h(
        "span",
        { class: "island", style: { "grid-row": row, "grid-column": `${column} / span 2` } },
        `${name} (${provinceName(code)})`,
      ),
    ),
  );
}

/** One tab stop, arrows between the tiles. @param {KeyboardEvent} event */
function walk(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const from = /** @type {HTMLElement} */ (event.currentTarget);
  if (!step || !from.parentElement) return;
  event.preventDefault();
  const at = (/** @type {HTMLElement} */ tile) => [Number(tile.dataset.row), Number(tile.dataset.col)];
  const [row, column] = at(from);
  let best = null,
    least = Infinity;
  for (const tile of /** @type {NodeListOf<HTMLElement>} */ (from.parentElement.querySelectorAll("a.tile"))) {
    const [down, right] = [at(tile)[0] - row, at(tile)[1] - column];
    const along = down * step[0] + right * step[1],
      aside = Math.abs(down * step[1]) + Math.abs(right * step[0]);
    // What lies straight ahead goes first, then what is least beside the way.
    if (along > 0 && along + 3 * aside < least) {
      least = along + 3 * aside;
      best = tile;
    }
  }
  if (!best) return;
  from.tabIndex = -1;
  best.tabIndex = 0;
  best.focus();
}

/** @param {string} figure */
export function legend(figure) {
  const { lang } = state(),
    digits = Math.min(...CLASSES[figure]) < 1 ? 1 : 0;
  return h(
    "ol",
    { class: "legend" },
    [0, ...CLASSES[figure]].map((bound, at) =>
      h(
        "li",
        {},
        h("span", { class: `swatch c${at}`, "aria-hidden": "true" }),
        at === 0
          ? `< ${number(CLASSES[figure][0], lang, digits)}`
          : `${number(bound, lang, digits)}${at === 5 ? "+ %" : ""}`,
      ),
    ),
  );
}

/** What switches are set to. @param {Record<string, any>} changes @param {number} [most] how many are named */
export function markText(changes, most = Infinity) {
  const { lang } = state();
  // What tells most stands first: the list of a mark is cut.
  const first = ["overrides", "unreachable", "name"],
    rank = (/** @type {string} */ name) => first.indexOf(name);
  const parts = Object.entries(changes)
    .sort(([one], [other]) => rank(other) - rank(one))
    .flatMap(([name, value]) => {
      if (name === "name") return [`${t("faults.plan")} ${value}`];
      if (name === "unreachable")
        return Object.entries(value).map(
          ([slug, share]) =>
            `${databaseName(slug)}: ${t("unreachable").toLowerCase()} ${percent(Number(share), lang, 0)}`,
        );
      if (name === "overrides")
        return value.length
          ? value.map(
              (/** @type {any} */ each) =>
                `${provinceName(each.match.province ?? "") || databaseName(each.match.database ?? "")}: ` +
                percent(each.set.never_answer_share ?? 0, lang, 0),
            )
          : [`${t("faults.place")}: ${t("grade.0")}`];
      return name.endsWith("_share")
        ? [`${maybe(`switch.${name.replace(/_(answer_)?share$/, "")}`)} ${percent(Number(value), lang, 1)}`]
        : [];
    });
  return parts.slice(0, most).join("; ") + (parts.length > most ? "…" : "");
}

// Ticks come once a second, while anybody looks and something moves.
const GAP_S = 6;
const HEIGHT = 150,
  LEFT = 46,
  RIGHT = 8,
  TOP = 16,
  BOTTOM = 22;

/** Round up to what a scale ends with. @param {number} value */
function end(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return ([1, 2, 5, 10].find((each) => each * power >= value) ?? 10) * power;
}

/**
 * A line over time; gaps where nobody looked.
 * @param {string} title
 * @param {number[][]} points `[epoch s, value]`
 * @param {(value: number) => string} written
 * @param {number} width
 * @param {[number, Record<string, any>][]} marks @param {number} [least] where the scale ends at least
 */
function line(title, points, written, width, marks, least = 0) {
  const { lang } = state(),
    from = points[0][0],
    to = Math.max(points[points.length - 1][0], from + 10),
    top = end(Math.max(least, ...points.map((each) => each[1])));
  const x = (/** @type {number} */ at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - RIGHT),
    y = (/** @type {number} */ value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const path = points
    .map(([at, value], n) => {
      const place = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      // A point alone is a dot: a line without length, with round ends.
      return n && at - points[n - 1][0] < GAP_S ? `L${place}` : `M${place}h0`;
    })
    .join("");
  const ticks = [0, 0.5, 1].map((share) => share * top),
    times = width < 500 ? [0, 1] : [0, 0.25, 0.5, 0.75, 1];
  return s(
    "svg",
    {
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
      role: "img",
      "aria-label": `${title}: ${written(points[points.length - 1][1])}`,
      class: "line",
    },
    ticks.map((value) => [
      s("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "grid" }),
      s("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, written(value)),
    ]),
    times.map((share) =>
      s(
        "text",
        {
          x: x(from + share * (to - from)),
          y: HEIGHT - 5,
          "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle",
        },
        clock(from + share * (to - from), lang),
      ),
    ),
    s("path", { d: path, class: "series" }),
    marks
      .filter(([at]) => at >= from)
      .map(([at], n) => [
        s("line", { x1: x(at), x2: x(at), y1: TOP - 6, y2: HEIGHT - BOTTOM, class: "mark" }),
        s("text", { x: x(at) + 3, y: TOP, class: "marktext" }, String(n + 1)),
      ]),
  );
}

/** @param {number} width */
export function timeline(width) {
  const { lang } = state(),
    { points } = store;
  if (points.length < 2) return h("p", { class: "muted" }, t("timeline.empty"));
  const marks = store.marks.filter(([at]) => at >= points[0][0]);
  const d1 = points.filter((each) => each[4]).map((each) => [each[0], each[3] / each[4]]);
  return h(
    "div",
    { class: "timeline" },
    h(
      "figure",
      {},
      h("figcaption", {}, `${t("per_s")} (${t("per_s.unit")})`),
      line(
        t("per_s"),
        points.map((each) => [each[0], each[1]]),
        (value) => number(value, lang, 0),
        width,
        marks,
        10,
      ),
    ),
    d1.length > 1 &&
      h(
        "figure",
        {},
        h("figcaption", {}, t("d1.head")),
        line(t("d1.head"), d1, (value) => percent(value, lang, value < 0.1 ? 1 : 0), width, marks, 0.2),
      ),
    h(
      "figure",
      {},
      h("figcaption", {}, `${t("open")} (${t("open.unit")})`),
      line(
        t("open"),
        points.map((each) => [each[0], each[2]]),
        (value) => number(value, lang, 0),
        width,
        marks,
        10,
      ),
    ),
    marks.length > 0 &&
      h(
        "div",
        { class: "marks" },
        h("h3", {}, t("timeline.marks")),
        h(
          "ol",
          {},
          marks.map(([at, changes]) => h("li", {}, `${clock(at, lang)} · ${markText(changes, 5)}`)),
        ),
      ),
    h(
      "details",
      {},
      h("summary", {}, t("timeline.table")),
      table(
        t("timeline"),
        [
          { head: t("time") },
          { head: t("per_s.unit"), num: true },
          { head: t("open.unit"), num: true },
          { head: "D1", num: true },
        ],
        points
          .slice(-30)
          .reverse()
          .map((each) => ({
            cells: [
              clock(each[0], lang),
              number(each[1], lang, 1),
              number(each[2], lang),
              rate([each[3], each[4]], lang),
            ],
          })),
      ),
    ),
  );
}
