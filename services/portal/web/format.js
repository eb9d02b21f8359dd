// Figures as `paperless rates` writes them: the same arithmetic and the same rounding, to the last digit.

/** @typedef {"vi" | "en"} Lang */
export const NONE = "–";
const Z_95 = 1.959964;

/**
 * Round as Python does: exactly, and a tie to the even digit.
 * @param {number} value @param {number} digits
 */
export function fixed(value, digits) {
  const eighths = value * 2 ** (digits + 1);
  // Only such fractions lie exactly between two decimals.
  if (!Number.isInteger(eighths) || eighths % 2 === 0) return value.toFixed(digits);
  const scaled = value * 10 ** digits,
    below = Math.floor(scaled);
  if (scaled - below !== 0.5) return value.toFixed(digits);
  return ((below % 2 === 0 ? below : below + 1) / 10 ** digits).toFixed(digits);
}

/** @param {number} value @param {Lang} lang @param {number} [digits] */
export function number(value, lang, digits = 0) {
  const [whole, part] = fixed(value, digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, lang === "vi" ? "." : ",");
  return part === undefined ? grouped : grouped + (lang === "vi" ? "," : ".") + part;
}

/** @param {number | null} share @param {Lang} lang @param {number} [digits] */
export const percent = (share, lang, digits = 2) =>
  share === null ? NONE : `${number(100 * share, lang, digits)}\u00a0%`;

/** A rate as two integers. @param {number[]} pair @param {Lang} lang */
export const rate = ([numerator, denominator], lang) => percent(denominator ? numerator / denominator : null, lang);

/**
 * The Wilson score interval at 95 %, rounded as the scoring API rounds it.
 * @param {number} numerator @param {number} denominator @returns {[number, number]}
 */
export function wilson(numerator, denominator) {
  const share = numerator / denominator,
    scale = 1 + (Z_95 * Z_95) / denominator;
  const centre = (share + (Z_95 * Z_95) / (2 * denominator)) / scale;
  const half = (Z_95 / scale) * Math.sqrt((share * (1 - share)) / denominator + (Z_95 / (2 * denominator)) ** 2);
  return [Number(fixed(Math.max(centre - half, 0), 6)), Number(fixed(Math.min(centre + half, 1), 6))];
}

/** @param {number[]} pair @param {Lang} lang */
export function interval([numerator, denominator], lang) {
  if (!denominator) return NONE;
  const [low, high] = wilson(numerator, denominator);
  return `${number(100 * low, lang, 2)}–${number(100 * high, lang, 2)}`;
}

/** @param {number} epochS @param {Lang} lang */
export const clock = (epochS, lang) =>
  new Intl.DateTimeFormat(lang === "vi" ? "vi-VN" : "en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).format(epochS * 1000);

// As offices write it: 06/10/2025; the English month is a word, since 06/10 is another day elsewhere.
const DAY = /** @type {Record<Lang, Intl.DateTimeFormatOptions>} */ ({
  vi: { day: "2-digit", month: "2-digit", year: "numeric", timeZone: "Asia/Ho_Chi_Minh" },
  en: { day: "numeric", month: "short", year: "numeric", timeZone: "Asia/Ho_Chi_Minh" },
});
const locale = (/** @type {Lang} */ lang) => (lang === "vi" ? "vi-VN" : "en-GB");

/** @param {string} iso @param {Lang} lang */
export const day = (iso, lang) => new Intl.DateTimeFormat(locale(lang), DAY[lang]).format(new Date(iso));

/** @param {string} iso @param {Lang} lang */
export const moment = (iso, lang) =>
  new Intl.DateTimeFormat(locale(lang), { ...DAY[lang], hour: "2-digit", minute: "2-digit" }).format(new Date(iso));

/** @param {Lang} lang @returns {(one: string, other: string) => number} */
export const collator = (lang) => new Intl.Collator(lang === "vi" ? "vi" : "en").compare;
