// Nộp thử một hồ sơ: file for an invented person at the real front door, and follow it to its outcome.
import { announce, h } from "./dom.js";
import { Refusal, json, listen } from "./api.js";
import { clock, moment, number } from "./format.js";
import { go, state } from "./state.js";
import { databaseName, nameOf, procedureOf, store } from "./store.js";
import { table } from "./parts.js";
import { maybe, t } from "./texts.js";

/**
 * @type {{draft: any, persona: string, filed: any, status: any, events: any[] | null, refusal: string, busy: boolean}}
 */
const own = { draft: null, persona: "", filed: null, status: null, events: null, refusal: "", busy: false };

// Of a linked service; half a working day, until the user says otherwise.
const PART_MINUTES = 240;

/** The application as it is about to be sent. @returns {any} */
function draft() {
  const { persona } = state(),
    someone = store.facts.personas.find((/** @type {any} */ each) => each.name === persona) ?? store.facts.personas[0];
  if (own.persona !== someone.name)
    Object.assign(own, { persona: someone.name, draft: structuredClone(someone.application) });
  return own.draft;
}

/** @param {Record<string, any>} changes */
function change(changes) {
  Object.assign(draft(), changes);
  store.changed();
}

/** @param {string} code */
function moveTo(code) {
  const place = store.facts.provinces.find((/** @type {any} */ each) => each.code === code),
    application = draft();
  change({
    province: code,
    commune: place.commune,
    dossier_code: application.dossier_code.replace(/^[GH]\d\d/, place.h),
  });
}

/** @param {string} code */
function turnTo(code) {
  const procedure = procedureOf(code);
  change({
    procedure: code,
    authority: procedure.authority,
    electronic_result: procedure.result,
    fee_paid_online: procedure.fee ? true : null,
    components: Object.fromEntries(procedure.components.map((/** @type {any} */ each) => [each.slug, "upload"])),
    part_minutes: procedure.parts.length
      ? Object.fromEntries(procedure.parts.map((/** @type {any} */ each) => [each.slug, PART_MINUTES]))
      : undefined,
  });
}

async function send() {
  Object.assign(own, { busy: true, refusal: "", filed: null, status: null, events: null });
  store.changed();
  try {
    own.filed = await json("/applications", { method: "POST", body: draft() });
    announce(t("step.filed"));
    store.changed();
    await followIt(own.filed);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    own.refusal = error.status ? error.message : t("away");
  } finally {
    own.busy = false;
    store.changed();
  }
}

/** @param {any} filed */
async function followIt(filed) {
  await listen(
    filed.links.stream,
    (name, data) => {
      if (own.filed !== filed || name !== "status") return;
      own.status = data;
      if (data.decided) announce(`${t("step.decided")}: ${t(`outcome.${data.decided.outcome}`)}`);
      store.changed();
    },
    new AbortController().signal,
  );
  // The outcome may be read before the reply that it rests on.
  for (
    let tries = 0;
    tries < 5 &&
    own.status?.decided &&
    !own.status.decided.presumed &&
    own.status.asking?.questions.some((/** @type {any} */ each) => !each.answer);
    tries++
  ) {
    await new Promise((done) => setTimeout(done, 300));
    own.status = await json(filed.links.status);
  }
  own.events = (await json(filed.links.events)).events;
}

export function file() {
  return [
    h("h1", {}, t("nav.file")),
    h("p", { class: "muted" }, t("file.intro")),
    h(
      "div",
      { class: "two even" },
      h("section", { "aria-label": t("persona") }, form()),
      h("section", { "aria-live": "off", "aria-label": t("way") }, way()),
    ),
  ];
}

/**
 * @param {string} label
 * @param {string} value
 * @param {[string, string][]} options
 * @param {(value: string) => void} chosen
 */
const pick = (label, value, options, chosen) =>
  h(
    "label",
    { class: "field" },
    h("span", {}, label),
    h(
      "select",
      { onchange: (/** @type {any} */ event) => chosen(event.target.value) },
      options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)),
    ),
  );

/** @param {string} label @param {boolean} value @param {(value: boolean) => void} chosen */
const tick = (label, value, chosen) =>
  h(
    "label",
    { class: "check" },
    h("input", {
      type: "checkbox",
      checked: value,
      onchange: (/** @type {any} */ event) => chosen(event.target.checked),
    }),
    label,
  );

/** @param {string} label @param {number} value @param {(value: number) => void} chosen */
const minutes = (label, value, chosen) =>
  h(
    "label",
    { class: "field" },
    h("span", {}, label),
    h("input", {
      type: "number",
      min: 0,
      max: 120000,
      value,
      onchange: (/** @type {any} */ event) => chosen(event.target.valueAsNumber || 0),
    }),
  );

function form() {
  const application = draft(),
    procedure = procedureOf(application.procedure),
    { facts } = store;
  return h(
    "form",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void send();
      },
    },
    h(
      "fieldset",
      { class: "people" },
      h("legend", {}, t("persona")),
      facts.personas.map((/** @type {any} */ each) =>
        h(
          "label",
          { class: "person", "data-key": each.name },
          h("input", {
            type: "radio",
            name: "persona",
            value: each.name,
            checked: each.name === own.persona,
            onchange: () => go({ persona: each.name }, true),
          }),
          h("span", {}, h("strong", {}, each.who), " ", nameOf(each)),
        ),
      ),
    ),
    h(
      "details",
      {},
      h("summary", {}, t("file.change")),
      h(
        "div",
        { class: "fields" },
        pick(
          t("procedure"),
          application.procedure,
          facts.procedures.map((/** @type {any} */ each) => [each.code, `${each.code} ${nameOf(each)}`]),
          turnTo,
        ),
        pick(
          t("province"),
          application.province,
          facts.provinces.map((/** @type {any} */ each) => [each.code, nameOf(each)]),
          moveTo,
        ),
        pick(
          t("channel"),
          application.channel,
          ["online", "direct", "post"].map((each) => [each, t(`channel.${each}`)]),
          (channel) => change({ channel }),
        ),
        pick(
          t("account"),
          String(application.account_level),
          ["0", "1", "2"].map((each) => [each, each]),
          (level) => change({ account_level: Number(level) }),
        ),
        pick(
          t("result"),
          application.result_delivery,
          ["electronic", "post", "counter"].map((each) => [each, t(`result.${each}`)]),
          (result_delivery) => change({ result_delivery }),
        ),
        tick(t("consent"), application.consent, (consent) => change({ consent })),
        application.fee_paid_online !== null &&
          tick(t("fee"), application.fee_paid_online, (fee_paid_online) => change({ fee_paid_online })),
        tick(t("asks"), application.asks_anyway, (asks_anyway) => change({ asks_anyway })),
        application.part_minutes &&
          h(
            "fieldset",
            {},
            h("legend", {}, t("parts.minutes")),
            procedure.parts.map((/** @type {any} */ each) =>
              minutes(nameOf(each), application.part_minutes[each.slug], (length) =>
                change({ part_minutes: { ...application.part_minutes, [each.slug]: length } }),
              ),
            ),
          ),
        h(
          "fieldset",
          {},
          h("legend", {}, t("answers")),
          procedure.components
            .filter((/** @type {any} */ each) => each.slug in application.components)
            .map((/** @type {any} */ each) =>
              pick(
                nameOf(each),
                application.components[each.slug],
                ["upload", "paper", "none"].map((one) => [one, t(`answer.${one}`)]),
                (answer) => change({ components: { ...application.components, [each.slug]: answer } }),
              ),
            ),
        ),
      ),
      h(
        "details",
        {},
        h("summary", {}, t("file.json")),
        h("pre", { tabindex: 0 }, JSON.stringify(application, null, 2)),
      ),
    ),
    h("p", {}, h("strong", {}, nameOf(procedure)), " · ", application.procedure),
    h("button", { class: "primary", disabled: own.busy && !own.filed }, t(own.busy && !own.filed ? "sending" : "send")),
    own.refusal && h("p", { class: "bad", role: "alert" }, own.refusal),
  );
}

const time = (/** @type {string} */ iso) => `${clock(Date.parse(iso) / 1000, state().lang)}${iso.slice(19, 23)}`;

/** @param {string} key @param {string} head @param {any} text @param {string} [cls] */
const step = (key, head, text, cls = "") =>
  h("li", { "data-key": key, class: cls }, h("strong", {}, head), h("div", {}, text));

/** @param {any[]} questions */
const askedDatabases = (questions) =>
  [...new Set(questions.flatMap((each) => each.databases))].map((slug) => databaseName(String(slug))).join(", ");

function way() {
  const { filed, status } = own,
    { lang } = state();
  if (!filed)
    return h(
      "p",
      { class: "muted" },
      t("way"),
      ": ",
      ["filed", "received", "asked", "answered", "decided"].map((each) => t(`step.${each}`)).join(" → "),
    );
  const asking = status?.asking,
    names = new Map(
      procedureOf(draft().procedure)?.components.map((/** @type {any} */ each) => [each.slug, nameOf(each)]),
    );
  const component = (/** @type {string} */ slug) => names.get(slug) ?? slug;
  return [
    h("h2", {}, t("way")),
    h(
      "ol",
      { class: "steps", id: "steps" },
      step("filed", t("step.filed"), h("code", {}, filed.application_id)),
      status?.received &&
        step(
          "received",
          t("step.received"),
          `${time(status.received.at)} · ${status.received.topic}, ` +
            `${status.received.partition}/${status.received.offset}`,
        ),
      asking?.asked.map((/** @type {string} */ at, /** @type {number} */ n) =>
        step(
          `asked${n}`,
          t(n ? "step.again" : "step.asked"),
          `${time(at)} · ${t("attempt")} ${n + 1}: ${askedDatabases(asking.questions)}`,
        ),
      ),
      asking?.questions.map((/** @type {any} */ each) =>
        step(
          `q${each.component}`,
          t(each.answer ? "step.answered" : status.decided ? "step.unanswered" : "step.waiting"),
          each.answer
            ? `${component(each.component)}: ${maybe(each.answer)} · ${databaseName(each.database)} · ` +
                `${t("after")} ${number(each.after_s, lang, 2)} s (${t("attempt")} ${each.attempt})`
            : component(each.component),
          each.answer ? each.answer : "wait",
        ),
      ),
      [...(status?.set_aside ?? []), ...(status?.refused ? [status.refused] : [])].map((each) =>
        step(each.position, t("step.refused"), `${each.reason}: ${each.detail} (${each.position})`, "missing"),
      ),
      status?.decided && step("decided", t("step.decided"), t(`outcome.${status.decided.outcome}`), "decided"),
    ),
    status?.decided && decided(status.decided, component),
    status?.decided?.parts.length > 0 && parts(status.decided),
    own.events && events(own.events),
  ];
}

/** @param {any} outcome @param {(slug: string) => string} component */
function decided(outcome, component) {
  const { lang } = state();
  return h(
    "div",
    { class: "notice", id: "outcome" },
    h("h3", {}, `${t("outcome")}: ${t(`outcome.${outcome.outcome}`)}`),
    h(
      "p",
      { class: "muted" },
      `${t(outcome.presumed ? "decided.presumed" : "decided.final")} · ${t("due")}: ${moment(outcome.due_at, lang)}`,
    ),
    h("h4", {}, t("rules")),
    outcome.reasons.length
      ? h(
          "ul",
          {},
          outcome.reasons.map((/** @type {any} */ each) =>
            h("li", {}, nameOf(each), " ", h("span", { class: "muted" }, each.source)),
          ),
        )
      : h("p", {}, t("rules.none")),
    outcome.components.length > 0 &&
      table(
        t("proof"),
        [{ head: t("components") }, { head: t("proof") }, { head: t("databases") }],
        outcome.components.map((/** @type {any} */ each) => ({
          key: each.component,
          cells: [
            component(each.component),
            [
              t(`source.${each.source}`),
              each.source === "data" ? ` – ${t("saved")}` : each.cause ? ` (${t(each.cause).toLowerCase()})` : "",
            ],
            each.database ? databaseName(each.database) : "–",
          ],
        })),
      ),
  );
}

/** The parts of a linked service: one application, done when the last of them is. @param {any} outcome */
function parts(outcome) {
  const { lang } = state(),
    names = new Map(procedureOf(outcome.procedure)?.parts.map((/** @type {any} */ each) => [each.slug, nameOf(each)]));
  return [
    h("h3", {}, t("parts")),
    h("p", { class: "muted small" }, t("parts.note")),
    table(
      t("parts"),
      [{ head: t("parts.part") }, { head: t("due") }, { head: t("parts.done") }],
      outcome.parts.map((/** @type {any} */ each) => ({
        key: each.part,
        cells: [names.get(each.part) ?? each.part, moment(each.due_at, lang), moment(each.done_at, lang)],
      })),
    ),
  ];
}

/** @param {any[]} all */
function events(all) {
  const traces = [...new Set(all.map((each) => each.trace_id).filter(Boolean))];
  return [
    h("h3", {}, t("events")),
    h(
      "p",
      { class: "muted small" },
      `${t("trace")}: `,
      traces.length ? h("code", {}, traces.join(", ")) : t("trace.none"),
    ),
    all.map((each) =>
      h(
        "details",
        { "data-key": `${each.topic}/${each.partition}/${each.offset}` },
        h("summary", {}, `${time(each.at)} · ${each.topic} ${each.partition}/${each.offset}`),
        h("pre", { tabindex: 0 }, JSON.stringify(each.data ?? each.dead_letter, null, 2)),
      ),
    ),
  ];
}
