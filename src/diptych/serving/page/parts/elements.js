// Elements of the page, made in one line each. Text is always text: nothing a file or a label says becomes markup.

import { words } from "./language.js";

const WORDS = { log: ["What the program prints", "程序的输出"] };

/** An element with properties, attributes (those with a dash, and role) and listeners ("onclick"), and its children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "sandbox" || !(name in made)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return made;
}

let fields = 0;

/** A control under its label. */
export function field(label, control) {
  control.id ||= `field-${++fields}`;
  return element("div", { className: "field" }, element("label", { htmlFor: control.id }, label), control);
}

/** A list to choose from; `choices` are texts, or [value, text]. */
export function choice(choices, properties = {}) {
  const options = choices.map(one => (Array.isArray(one) ? new Option(one[1], one[0]) : new Option(one)));
  return element("select", properties, options);
}

/** A button that cannot be pressed again before its work has ended; what goes wrong is said by `report`. */
export function action(text, work, report, properties = {}) {
  const button = element("button", { type: "button", ...properties }, text);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") report(error.message); // that one: the screen was left
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/**
 * A line that says how things stand, also to a screen reader.
 *
 * @returns the line; `say` and `fail` set its sentence, `note` what changes beside it, `log` adds what a program prints, or with null takes it away
 */
export function statusLine() {
  const sentence = element("span", { role: "status" });
  const beside = element("span", { className: "soft" });
  const printed = element("pre", { lang: "en", tabIndex: 0 });
  const fold = element("details", {}, element("summary", {}, words(WORDS).log), printed);
  const place = element("div", { className: "status" }, element("p", {}, sentence, " ", beside));
  const say = (...content) => {
    sentence.replaceChildren(...content);
    beside.textContent = "";
  };
  return {
    line: place,
    say,
    fail: text => say(element("span", { className: "wrong" }, text)),
    note: text => (beside.textContent = text),
    log(line) {
      if (line === null) fold.remove();
      else if (!fold.parentNode) place.append(fold);
      printed.textContent = line === null ? "" : `${printed.textContent}${line}\n`;
    },
  };
}
