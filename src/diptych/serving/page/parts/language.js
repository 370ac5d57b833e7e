// The words of the page in two languages. Each screen carries its own: [English, Chinese] by name.

const LANGUAGES = ["en", "zh-CN"];

/** The language in use: the one that was chosen before, or the browser's. */
export function language() {
  const chosen = localStorage.getItem("language");
  if (LANGUAGES.includes(chosen)) return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
}

/** Use the other language from now on. */
export function switchLanguage() {
  localStorage.setItem("language", language() === "en" ? "zh-CN" : "en");
}

/** The words of the language in use; a word may be a function of what it speaks of, such as a number. */
export function words(table) {
  const column = LANGUAGES.indexOf(language());
  return Object.fromEntries(Object.entries(table).map(([name, pair]) => [name, pair[column]]));
}

/** A share as people write it: 0.876 is "87.6 %". */
export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}
