// Builds elements, and changes what is shown into what is wanted: focus, scroll and open details stay where they are.

/** @typedef {Record<string, any>} Props */
const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = /** @type {const} */ (["onclick", "oninput", "onchange", "onkeydown", "onsubmit", "ontoggle"]);

/** By property: the policy of this page refuses style attributes. @param {HTMLElement} element @param {Props} style */
function styled(element, style) {
  for (const [key, each] of Object.entries(style)) element.style.setProperty(key, String(each));
}

/**
 * @param {Element} element
 * @param {Props} props attributes; `on…` are handlers, `style` an object of properties, false and null leave out
 * @param {any[]} children nodes and texts, nested as one likes
 */
function filled(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) /** @type {any} */ (element)[name] = value;
    else if (name === "style") styled(/** @type {HTMLElement} */ (element), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** @param {string} tag @param {Props} [props] @param {...any} children @returns {HTMLElement} */
export const h = (tag, props = {}, ...children) =>
  /** @type {HTMLElement} */ (filled(document.createElement(tag), props, children));

/** @param {string} tag @param {Props} [props] @param {...any} children @returns {SVGElement} */
export const s = (tag, props = {}, ...children) =>
  /** @type {SVGElement} */ (filled(document.createElementNS(SVG, tag), props, children));

/** @param {Node} node */
const keyOf = (node) => (node instanceof Element ? node.getAttribute("data-key") : null);

/**
 * Make `from` look like `to`. Elements with the same `data-key` are the same thing, wherever they stand.
 * @param {Element} from @param {Element} to
 */
export function morph(from, to) {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  morphElement(from, to);
  // A row that moved has lost the focus.
  if (active && active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
}

/** @param {any} from @param {any} to */
function morphElement(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && name !== "style" && !(name === "open" && from.localName === "details"))
      from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (name === "style") {
      if (from.style.cssText !== to.style.cssText) from.style.cssText = to.style.cssText;
    } else if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const name of HANDLERS) if (from[name] !== to[name]) from[name] = to[name];
  // A slider is never ahead of what is shown; a text that is being typed is.
  if (from.localName === "input" && (from.type === "range" || from !== document.activeElement)) {
    if (from.type === "checkbox" || from.type === "radio") from.checked = to.checked;
    else if (from.value !== to.value) from.value = to.value;
  }
  morphChildren(from, to);
  if (from.localName === "select" && from !== document.activeElement) from.value = to.value;
}

/** @param {Element} from @param {Element} to */
function morphChildren(from, to) {
  const keyed = new Map([...from.childNodes].filter((each) => keyOf(each)).map((each) => [keyOf(each), each]));
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = keyOf(wanted);
    const same = key ? keyed.get(key) : at && !keyOf(at) && at.nodeName === wanted.nodeName ? at : null;
    if (!same) {
      from.insertBefore(wanted, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else from.insertBefore(same, at);
    if (same.nodeType === Node.TEXT_NODE) {
      if (same.nodeValue !== wanted.nodeValue) same.nodeValue = wanted.nodeValue;
    } else if (same.nodeName === wanted.nodeName) morphElement(same, wanted);
    else from.replaceChild(wanted, same);
  }
  while (at) {
    const next = at.nextSibling;
    from.removeChild(at);
    at = next;
  }
}

/** Say something to who does not see the page. @param {string} text */
export function announce(text) {
  const said = document.getElementById("said");
  if (said) said.textContent = text;
}
