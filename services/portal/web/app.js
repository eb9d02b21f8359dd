// The frame of the page: navigation, language, theme, the honest line, and whichever view the address names.
import { announce, h, morph } from "./dom.js";
import { json, token } from "./api.js";
import { clock } from "./format.js";
import { address, go, onMove, state } from "./state.js";
import { follow, pause, refreshShown, store, table } from "./store.js";
import { t } from "./texts.js";
import { data } from "./data.js";
import { faults, readPlan } from "./faults.js";
import { file } from "./file.js";
import { live, publishedMonths } from "./live.js";
import { letGo } from "./planner.js";
import { whatif } from "./whatif.js";

/** @type {Record<string, () => any>} */
const VIEWS = { live, whatif, file, faults, data };
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The addresses of tables that this view asks for. @returns {Set<string>} */
function shown() {
  const { view, province, by, ask } = state();
  if (view === "live")
    return new Set(
      province
        ? [`/scoring/rates/${province}`, `/scoring/why?province=${province}`, ...publishedMonths()]
        : [`/scoring/rates?authority=${by}`, `/scoring/why?authority=${by}`],
    );
  if (view === "whatif" && ask === "measures") return new Set();
  if (view === "whatif")
    return new Set([`/scoring/why/sets?${province ? `province=${province}` : "authority=province"}`]);
  return new Set(["/scoring/rates?authority=province"]);
}

function page() {
  const { view, lang, theme } = state();
  const isDark = theme === "dark" || (theme === "auto" && dark.matches);
  return h(
    "div",
    { id: "page" },
    h("a", { class: "skip", href: "#main" }, t("skip")),
    h(
      "header",
      {},
      h("p", { class: "title" }, h("strong", {}, t("title")), h("span", {}, ` – ${t("subtitle")}`)),
      h(
        "nav",
        { "aria-label": t("nav.label") },
        Object.keys(VIEWS).map((name) =>
          h(
            "a",
            {
              href: address({
                view: name === "live" ? null : name,
                province: null,
                lift: null,
                ask: null,
                set: null,
                band: null,
              }),
              "aria-current": name === view ? "page" : null,
            },
            t(`nav.${name}`),
          ),
        ),
      ),
      h(
        "div",
        { class: "buttons" },
        h(
          "a",
          {
            class: "button",
            href: address({ lang: lang === "vi" ? "en" : "vi" }),
            lang: lang === "vi" ? "en" : "vi",
            hreflang: lang === "vi" ? "en" : "vi",
          },
          lang === "vi" ? "English" : "Tiếng Việt",
        ),
        h(
          "a",
          { class: "button", href: address({ theme: isDark ? "light" : "dark" }) },
          t(isDark ? "theme.light" : "theme.dark"),
        ),
        h("button", { type: "button", onclick: () => pause(!store.paused) }, t(store.paused ? "resume" : "pause")),
      ),
      h(
        "p",
        { class: "honest" },
        t("honest"),
        h("a", { href: address({ view: "data", province: null }) }, t("honest.link")),
      ),
      streamState(),
    ),
    h(
      "main",
      { id: "main", tabindex: -1, "data-key": `${view}` },
      token.wanted
        ? askToken()
        : store.facts
          ? VIEWS[view in VIEWS ? view : "live"]()
          : h("p", { class: "muted" }, t("loading")),
    ),
  );
}

function streamState() {
  const { lang } = state(),
    { tick } = store;
  const key = store.paused
    ? "stream.paused"
    : store.connected
      ? "stream.on"
      : store.ended
        ? "stream.ended"
        : tick
          ? "stream.off"
          : "loading";
  const trouble = [...(tick?.trouble ?? []), ...(tick?.flow.away ?? [])];
  return h(
    "p",
    { class: `stream${store.connected && !store.paused ? "" : " still"}` },
    h("span", { class: "dot", "aria-hidden": "true" }),
    t(key),
    store.connected && tick ? ` · ${t("asof").toLowerCase()} ${clock(tick.at, lang)} · ${t("stream.state")}` : "",
    trouble.length > 0 && h("span", { class: "bad" }, ` · ${t("trouble")}${trouble.join(", ")}`),
  );
}

function askToken() {
  return h(
    "form",
    {
      class: "notice",
      onsubmit: (/** @type {any} */ event) => {
        event.preventDefault();
        token.set(new FormData(event.target).get("token")?.toString() ?? "");
        void follow();
        render();
      },
    },
    h("p", {}, t("token.ask")),
    h(
      "label",
      {},
      t("token.label"),
      " ",
      h("input", { name: "token", type: "password", autocomplete: "off", required: true }),
    ),
    " ",
    h("button", {}, t("token.send")),
  );
}

let waiting = false,
  navigated = "";
/** Draw what has changed with the next frame. */
export function render() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    const { lang, theme, view } = state(),
      root = document.documentElement;
    root.lang = lang;
    theme === "auto" ? root.removeAttribute("data-theme") : root.setAttribute("data-theme", theme);
    document.title = `${t(`nav.${view in VIEWS ? view : "live"}`)} · ${t("title")}`;
    const old = document.getElementById("page");
    if (old) morph(old, page());
    const nav = document.querySelector("nav"),
      here = nav?.querySelector("[aria-current]");
    // Where the navigation is wider than a telephone, what is chosen is pushed into sight, once.
    if (nav && here instanceof HTMLElement && navigated !== `${view} ${lang}`) {
      navigated = `${view} ${lang}`;
      nav.scrollLeft = here.offsetLeft - nav.offsetLeft - 40;
    }
  });
}

store.changed = render;
store.onMoved = () => refreshShown(shown());
store.onPlan = () => void readPlan();
onMove(() => {
  letGo();
  announce(t(`nav.${state().view in VIEWS ? state().view : "live"}`));
  render();
});
dark.addEventListener("change", render);
addEventListener("resize", render);
addEventListener("unhandledrejection", (event) => console.error(event.reason));
if (!(state().view in VIEWS)) go({ view: null }, true);
store.facts = await json("/web/facts.json");
render();
void follow();
for (const path of shown()) table(path);
