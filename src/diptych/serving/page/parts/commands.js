// The same by other means: the command line, Python and curl of what the screen just did, each to be copied.

import { element } from "./elements.js";
import { words } from "./language.js";

const WORDS = {
  title: ["The same by command line, Python or curl", "用命令行、Python 或 curl 完成同样的操作"],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
};
const NAMES = { command: "Command line", python: "Python", curl: "curl" };

/** Folded lines to copy; `lines` has `command`, `python` and `curl`. */
export function sameBy(lines) {
  const say = words(WORDS);
  const rows = Object.entries(NAMES).map(([name, title]) => {
    const button = element("button", { type: "button", "aria-label": `${say.copy}: ${title}` }, say.copy);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(lines[name]);
      button.textContent = say.copied;
    });
    return element("div", {}, element("p", { className: "name" }, title, " ", button), element("pre", { tabIndex: 0 }, lines[name]));
  });
  return element("details", { className: "same" }, element("summary", {}, say.title), rows);
}

/** A word of a command line, quoted where a shell would split it. */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** curl with the address of this server. */
export function curl(path, ...options) {
  return ["curl", ...options, quoted(new URL(path, location.href).href.split("#")[0])].join(" ");
}
