// Pictures that a person gives: chosen, dropped (folders too), pasted; and how they are shown.

import { element, field } from "./elements.js";

const NOT_SHOWN = /^(\.|__MACOSX|Thumbs\.db)/;

/**
 * A place to drop pictures on, which is also a button to choose them.
 *
 * @param {string} label what to do here
 * @param {(files: File[]) => void} take what is done with them; those of a dropped folder have its name as `folder`
 */
export function dropPlace(label, take, { multiple = true } = {}) {
  const input = element("input", { type: "file", accept: "image/*", multiple });
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same file may be chosen once more
    if (files.length) take(files);
  });
  const place = element("div", { className: "drop" }, field(label, input));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    place.addEventListener(kind, async event => {
      event.preventDefault();
      place.classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      const files = await filesOf(event.dataTransfer);
      if (files.length) take(multiple ? files : files.slice(0, 1));
    });
  }
  return place;
}

/** Take pictures that are pasted, until the screen is left. */
export function onPaste(take, signal) {
  const pasted = event => event.clipboardData.files.length && take([...event.clipboardData.files]);
  addEventListener("paste", pasted, { signal });
}

/** All files that were dropped, those in folders too. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(entry => filesIn(entry)))).flat();
}

async function filesIn(entry, folder) {
  if (NOT_SHOWN.test(entry.name)) return [];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [Object.assign(file, { folder })];
  }
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    children.push(...some);
  }
  return (await Promise.all(children.map(child => filesIn(child, entry.name)))).flat();
}

/** A picture of this page: a file, or an answer's base64. */
export function shown(source, alt) {
  const address = typeof source === "string" ? `data:image/png;base64,${source}` : URL.createObjectURL(source);
  return element("img", { src: address, alt });
}

/** The bytes of an answer's base64. */
export function pictureFile(base64, name) {
  const bytes = Uint8Array.from(atob(base64), sign => sign.charCodeAt(0));
  return new File([bytes], name, { type: "image/png" });
}

/** A file in base64, as requests carry several pictures. */
export async function base64Of(file) {
  const address = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return address.slice(address.indexOf(",") + 1);
}

/** Let the browser save a file. */
export function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}
